"""The stages that read: where the ratings come from, the ratings themselves, their matrix."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from cli.ratings import read_ratings
from functions.build_matrix import core, gather
from shared import bootstrap, forgotten
from shared.adapters.files import DirectoryStore
from shared.adapters.yaml_file import read_yaml
from shared.artifacts import ArtifactStore, Manifest, libraries
from shared.bootstrap import Deps
from shared.errors import BadInput
from shared.ports import NO_VERSION

SAMPLE: Final = "data/movielens-small/ratings.csv.gz"
RATINGS: Final = "ratings.parquet"
WATCHES: Final = "watches.parquet"


class Source(BaseModel):
    """Where ratings come from: a file, or the lake of a bucket at a version."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    kind: Literal["file", "lake"]
    where: str
    lake_version: int | None = None

    @classmethod
    def read(cls, path: Path) -> "Source":
        """Read what `pin` wrote. Raises: BadInput."""
        try:
            return cls.model_validate(read_yaml(path))
        except ValidationError as error:
            raise BadInput(f"{path}: {error}") from None

    def __str__(self) -> str:
        return self.where if self.kind == "file" else f"version {self.lake_version} of the lake in bucket {self.where}"

    def write(self, path: Path) -> None:
        """Write it, unless the file says so already."""
        text = yaml.safe_dump(self.model_dump(exclude_none=True), sort_keys=False)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def pinned(environment: Mapping[str, str] = os.environ) -> Source:
    """Return the lake's newest version if the environment says where it is, else the sample.

    Raises: BadInput if the lake is empty; NotReady.
    """
    if not environment.get("BUCKET") or not environment.get("S3_ENDPOINT"):
        return Source(kind="file", where=SAMPLE)
    deps = _deps(environment)
    version = deps.lake.version()
    if version == NO_VERSION:
        raise BadInput(f"the lake of bucket {deps.settings.bucket} is empty")
    return Source(kind="lake", where=deps.settings.bucket, lake_version=version)


def fetch(source: Source, folder: Path, environment: Mapping[str, str] = os.environ) -> int:
    """Write all ratings, and who watched what, in an order that depends on them alone; return how many ratings.

    Who asked to be forgotten is left out. Raises: BadInput, NotReady.
    """
    if source.kind == "file":
        ratings, watches = read_ratings(Path(source.where)), _WATCHES.empty_table()
    else:
        deps = _deps(environment)
        if deps.settings.bucket != source.where:
            raise BadInput(f"the ratings were fetched from bucket {source.where}, and BUCKET is {deps.settings.bucket}")
        ratings, watches = _read_lake(deps, source.lake_version)
    order = [(name, "ascending") for name in ("topic", "partition", "offset")]
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(ratings.select(gather.COLUMNS).sort_by(order), folder / RATINGS, compression="zstd")
    pq.write_table(watches, folder / WATCHES, compression="zstd")
    return len(ratings)


def matrix(source: Source, folder: Path, out: Path, validation_fraction: float) -> Manifest:
    """Build the matrix of what was fetched, the very one that `build_matrix` builds of the same version of the lake.

    Its manifest has the time of the newest rating, so that the same ratings give the same bytes. Raises: BadInput.
    """
    ratings = gather.ratings(_batches(folder / RATINGS))
    watches = gather.watches(_batches(folder / WATCHES))
    split, files = core.files(ratings, validation_fraction, watches)
    newest = max(int(ratings.times.max(initial=0)), int(watches.times.max(initial=0)))
    manifest = Manifest(
        kind="matrix",
        id=split.matrix_id,
        created_at=datetime.fromtimestamp(newest / 1e6, UTC).isoformat(),
        libraries=libraries(),
        lake_version=source.lake_version,
        parameters={"validation_fraction": validation_fraction},
        offsets=ratings.offsets,
        metrics=core.statistics(ratings).model_dump(),
    )
    return ArtifactStore(DirectoryStore(out)).put(".", files, manifest)


_WATCHES: Final = pa.schema([("user_id", pa.string()), ("movie_id", pa.string()), ("time", pa.timestamp("us", "UTC"))])


def _read_lake(deps: Deps, version: int | None) -> tuple[pa.Table, pa.Table]:
    left_out = forgotten.read(deps.objects)
    ratings = deps.lake.read("rating", gather.COLUMNS, version)
    watched = gather.watches(deps.lake.scan("watch", gather.WATCH_COLUMNS, version))
    watches = pa.table(
        {
            "user_id": pa.array(watched.users, pa.string()).take(pa.array(watched.rows)),
            "movie_id": pa.array(watched.movies, pa.string()).take(pa.array(watched.columns)),
            "time": pa.array(watched.times, pa.int64()).cast(pa.timestamp("us", "UTC")),
        },
        schema=_WATCHES,
    )
    return _without(ratings, left_out), _without(watches, left_out)


def _without(table: pa.Table, left_out: forgotten.Forgotten) -> pa.Table:
    theirs = left_out.among(pc.unique(table["user_id"]).to_pylist())
    return table.filter(pc.invert(pc.is_in(table["user_id"], pa.array(sorted(theirs), pa.string()))))


def _batches(path: Path) -> list[pa.RecordBatch]:
    try:
        return pq.read_table(path).to_batches()  # type: ignore[no-any-return]
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"{path}: {error}") from error


def _deps(environment: Mapping[str, str]) -> Deps:
    told: dict[str, Any] = {"KAFKA_BOOTSTRAP": "none", **environment}  # Kafka is not asked
    return bootstrap.build("fetch", told, writes=False)
