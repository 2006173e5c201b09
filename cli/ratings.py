"""Ratings, pairs and titles from CSV files that people bring, every bad cell named."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from shared.errors import BadInput

_TYPES: Final = {"user_id": pa.string(), "movie_id": pa.string(), "rating": pa.string(), "timestamp": pa.string()}


class Titles(NamedTuple):
    """What is known about a movie for people to read."""

    title: str
    genres: str


def read_ratings(path: Path) -> pa.Table:
    """Return a file's ratings with the columns of the lake, so that the functions' own code takes them.

    Without a `timestamp` column, or if all of it is empty, the order of the rows is their time. Raises: BadInput.
    """
    table = _read(path, ("user_id", "movie_id", "rating"), optional=("timestamp",))
    ratings = _numbers(path, table, "rating")
    n = len(table)
    if "timestamp" in table.column_names and pc.any(pc.not_equal(table["timestamp"], "")).as_py():
        times = (_numbers(path, table, "timestamp") * 1e6).astype(np.int64)
    else:
        times = np.arange(n)
    return pa.table(
        {
            "user_id": table["user_id"],
            "movie_id": table["movie_id"],
            "rating": pa.array(ratings),
            "time": pa.array(times, pa.timestamp("us", "UTC")),
            "topic": pa.repeat(path.name, n),
            "partition": pa.repeat(pa.scalar(0, pa.int32()), n),
            "offset": pa.array(np.arange(n)),
            "ingested_at": pa.array(times, pa.timestamp("us", "UTC")),
        }
    )


def read_pairs(path: Path) -> pa.Table:
    """Return a file's `user_id` and `movie_id` columns, as text. Raises: BadInput."""
    return _read(path, ("user_id", "movie_id")).select(["user_id", "movie_id"])


def read_titles(path: Path) -> dict[str, Titles]:
    """Return the title, with its year, and the genres of each movie id. Raises: BadInput."""
    table = _read(path, ("movie_id", "title"), optional=("year", "genres"))
    blank = [""] * len(table)
    columns = [table[name].to_pylist() if name in table.column_names else blank for name in ("year", "genres")]
    rows = zip(table["movie_id"].to_pylist(), table["title"].to_pylist(), *columns, strict=True)
    return {
        movie: Titles((f"{title} ({year})" if year else title) or f"movie {movie}", genres.replace("|", ", "))
        for movie, title, year, genres in rows
    }


def _read(path: Path, needed: Sequence[str], optional: Sequence[str] = ()) -> pa.Table:
    if not path.exists():
        raise BadInput(f"{path}: there is no such file")
    try:
        table = csv.read_csv(
            path,
            convert_options=csv.ConvertOptions(column_types=_TYPES, strings_can_be_null=False),
            parse_options=csv.ParseOptions(newlines_in_values=True),
        )
        names = table.column_names
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: {error}") from error
    twice = [name for name in {*needed, *optional} if names.count(name) > 1]
    if twice:
        raise BadInput(f"{path}: column {twice[0]} stands there twice")
    missing = [name for name in needed if name not in table.column_names]
    if missing:
        raise BadInput(f"{path}: no column {', '.join(missing)}; it has {', '.join(table.column_names)[:200]}")
    wanted = [name for name in (*needed, *optional) if name in table.column_names]
    table = table.select(wanted).cast(pa.schema([(name, pa.string()) for name in wanted]))
    if not len(table):
        raise BadInput(f"{path}: no row")
    for name in ("user_id", "movie_id"):
        if name in wanted and (row := pc.index(table[name], "").as_py()) >= 0:
            raise _bad_cell(path, name, row, "", "no id")
    return table


def _numbers(path: Path, table: pa.Table, name: str) -> np.ndarray:
    try:
        values = table[name].cast(pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        row, text = next((row, text) for row, text in enumerate(table[name].to_pylist()) if not _is_number(text))
        raise _bad_cell(path, name, row, text, "not a number") from None
    odd = np.flatnonzero(~np.isfinite(values) | (np.abs(values) > 1e11))
    if len(odd):
        row = int(odd[0])
        raise _bad_cell(path, name, row, table[name][row].as_py(), "not a number from -1e11 to 1e11")
    numbers: np.ndarray = values
    return numbers


def _is_number(text: str) -> bool:
    try:
        pa.scalar(text).cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


def _bad_cell(path: Path, name: str, row: int, value: str, why: str) -> BadInput:
    return BadInput(f"{path}: row {row + 1} below the header, column {name}: {value[:40]!r} is {why}")
