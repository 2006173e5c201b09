"""Rows put into a lake without the way there."""

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
