"""`python -m benchmarks [NAME]…`: run all benchmarks, or those named; each claim is a line of JSON."""

import importlib
from typing import Annotated, Final

import typer

from benchmarks.report import Result
from shared.errors import MarqueeError

STREAM: Final = ("ingest", "freshness", "backfill", "recommend", "burst", "matrix")
TRAINERS: Final = ("trainers", "accuracy", "new_users", "myfm", "libmf", "growth", "frontier", "kernels")
SERVING: Final = ("score", "start", "catch_up", "chain", "strangers", "visits")
CANARIES: Final = ("verdicts", "levels", "online", "spam", "releases", "trace")
CLUSTER: Final = ("knative", "from_zero")
"""Those that make this machine a node of Kubernetes, as root: only by name."""

NAMES: Final = STREAM + TRAINERS + SERVING + CANARIES


def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"Any of {', '.join(NAMES + CLUSTER)}.")] = None,
) -> None:
    """Measure each claim beside its peer, in the same run; exit 1 if one does not hold.

    Without a name, measure all but those of the cluster.
    """
    asked = names or list(NAMES)
    unknown = set(asked) - {*NAMES, *CLUSTER}
    if unknown:
        raise SystemExit(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES + CLUSTER)}")
    holds = True
    for name in asked:
        try:
            results: list[Result] = importlib.import_module(f"benchmarks.{name}").run()
        except MarqueeError as error:
            raise SystemExit(f"{name}: {error}") from None
        for result in results:
            typer.echo(result.line())
            holds = holds and result.ratio >= result.bar
    raise typer.Exit(0 if holds else 1)


if __name__ == "__main__":
    typer.run(main)
