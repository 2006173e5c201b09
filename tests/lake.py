"""Rows put into a lake without the way there."""

import json
import os
from pathlib import Path

import pyarrow as pa

from shared.ports import Fold, Lake
from shared.records import to_table
from shared.rows import Row


def put_ratings(lake: Lake, ratings: pa.Table, first_offset: int = 0) -> None:
    """Commit ratings as one more fold."""
    columns = [ratings[name].to_pylist() for name in ("user_id", "movie_id", "rating")]
    times = ratings["time"].cast(pa.int64()).to_pylist()
    rows = [
        Row(
            "rating",
            "movielog",
            0,
            offset,
            1_764_000_000_000_000,
            time=time,
            user_id=user,
            movie_id=movie,
            rating=value,
        )
        for offset, (user, movie, value, time) in enumerate(zip(*columns, times, strict=True), first_offset)
    ]
    lake.fold(to_table(rows), Fold(lake.last_fold().number + 1, []))


def put_back(folder: Path, hours: float) -> None:
    """Make all that happened to a table in a folder look as if it had been so many hours earlier."""
    for checkpoint in (folder / "_delta_log").glob("*checkpoint*"):  # repeats the log, with its times
        checkpoint.unlink()
    for file in (folder / "_delta_log").glob("*.json"):
        file.write_bytes(earlier(file.read_bytes(), hours))
    for file in folder.glob("kind=*/*/*.parquet"):
        os.utime(file, (file.stat().st_mtime - hours * 3_600,) * 2)


def earlier(commit: bytes, hours: float) -> bytes:
    """Return a commit of a table's log as it would have been so many hours earlier."""
    actions = [json.loads(line) for line in commit.splitlines()]
    stamps = {"commitInfo": "timestamp", "add": "modificationTime", "remove": "deletionTimestamp"}
    for action in actions:
        for kind, name in stamps.items():
            if kind in action:
                action[kind][name] -= int(hours * 3_600_000)
    return "\n".join(map(json.dumps, actions)).encode()
