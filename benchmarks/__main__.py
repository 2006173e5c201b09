"""`python -m benchmarks [NAME]`: run all benchmarks, or one; the last line of each is JSON."""

import importlib
import sys
from typing import Final

from shared.errors import MarqueeError

NAMES: Final = ("ingest", "freshness", "backfill", "recommend")


def main() -> None:
    """Run what was asked for; exit 1 if a claim does not hold."""
    asked = sys.argv[1:] or list(NAMES)
    unknown = set(asked) - set(NAMES)
    if unknown:
        sys.exit(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    holds = True
    for name in asked:
        try:
            result = importlib.import_module(f"benchmarks.{name}").run()
        except MarqueeError as error:
            sys.exit(f"{name}: {error}")
        print(result.line(), flush=True)
        holds = holds and result.ratio >= result.bar
    sys.exit(0 if holds else 1)


if __name__ == "__main__":
    main()
