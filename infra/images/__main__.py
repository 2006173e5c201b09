"""Build the images of the functions: `python -m infra.images build --out FOLDER`; `lock` for `make lock`."""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.images import commands, facts
from infra.images import lock as requirements
from infra.images.archive import SBOM, Archive
from infra.images.engines import Engine, Name, engine
from infra.images.targets import PUSHED, chosen, reference
from infra.local.machine import ROOT
from shared.errors import BadInput

LIST = "images.json"

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.command()
def build(
    out: Annotated[Path, typer.Option(help="the folder of the tars, their bills of materials, images.json")],
    targets: Annotated[list[str] | None, typer.Argument(help="which images; all if none is named")] = None,
    engine_name: Annotated[Name, typer.Option("--engine", help="auto: docker if its engine answers")] = "auto",
    base: Annotated[str, typer.Option(help="the base image, with Python 3.11 (default: the engine's)")] = "",
    push: Annotated[str, typer.Option(metavar="REGISTRY", help="push to REGISTRY/marquee/<target> too")] = "",
) -> None:
    """Build images as docker-archives, `dev.local/marquee/<target>:dev`, and say in images.json what they are."""
    try:
        names = chosen(targets or ())
        known = facts.read(ROOT)
        out = out.absolute()
        out.mkdir(parents=True, exist_ok=True)
        builder = engine(engine_name, out / "build.log")
        arguments = known.arguments | ({"BASE_IMAGE": base or builder.base} if base or builder.base else {})
        for number, name in enumerate(names, 1):
            started = time.monotonic()
            typer.echo(f"[{number}/{len(names)}] {name}", nl=False, err=True)
            built = one(builder, name, arguments, known, out, push)
            note(out / LIST, name, built)
            if "pushed" in built:
                note(out / PUSHED, name, built["pushed"])
            megabytes = f"{built['size'] / 1e6:.0f} MB, {built['unpacked'] / 1e6:.0f} MB beyond the base"
            typer.echo(f": {megabytes}, {time.monotonic() - started:.0f} s", err=True)
    except BadInput as error:
        typer.echo(f"\n{error}", err=True)
        raise SystemExit(2) from None


@app.command()
def lock() -> None:
    """Write the requirements of each image anew, within requirements.txt."""
    requirements.lock()


def one(
    builder: Engine, name: str, arguments: Mapping[str, str], known: facts.Facts, out: Path, registry: str
) -> dict[str, Any]:
    """Build one image and return what images.json says of it: sizes in bytes, `unpacked` those beyond the base."""
    tag, tar = reference(name), out / f"{name}.tar"
    builder.build(name, tag, arguments, known.epoch)
    builder.save(tag, tar)
    archive = Archive.open(tar)
    (out / f"{name}.cdx.json").write_bytes(archive.file(SBOM))
    base = builder.layers(arguments["BASE_IMAGE"]) if "BASE_IMAGE" in arguments else ()
    built = {
        "tar": tar.name,
        "image": tag,
        "digest": archive.digest,
        "size": tar.stat().st_size,
        "unpacked": archive.size_beyond(base),
    }
    if registry:
        there = commands.destination(registry, name, known.commit)
        built["pushed"] = f"{there.rpartition(':')[0]}@{builder.push(tag, there)}"
    return built


def note(path: Path, name: str, built: Mapping[str, Any] | str) -> None:
    """Write what was built into a list in JSON, beside what is known of other images."""
    listed = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(listed | {name: built}, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(app())
