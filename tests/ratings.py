"""Small sets of ratings that tests know the answers to."""

from collections.abc import Iterable

import pyarrow as pa

Rating = tuple[str, str, float, int]
"""User, movie, rating, and time in seconds since 1970."""


def table(ratings: Iterable[Rating], topic: str = "movielog") -> pa.Table:
    """Return ratings as the lake's columns, one offset each."""
    ratings = list(ratings)
    users, movies, values, times = zip(*ratings, strict=True) if ratings else ((), (), (), ())
    return pa.table(
        {
            "user_id": pa.array(users, pa.string()),
            "movie_id": pa.array(movies, pa.string()),
            "rating": pa.array(values, pa.float64()),
            "time": pa.array([time * 1_000_000 for time in times], pa.timestamp("us", "UTC")),
            "topic": pa.array([topic] * len(ratings), pa.string()),
            "partition": pa.array([0] * len(ratings), pa.int32()),
            "offset": pa.array(range(len(ratings)), pa.int64()),
        }
    )


def checkerboard(n: int, withheld: tuple[int, int] = (0, 0)) -> list[Rating]:
    """Return n users who give 5 to movies of their own colour and 1 to the others, all cells but one.

    The times go criss-cross over the board, so that every user and movie has old ratings and some have new ones.
    """
    cells = [(user, movie) for user in range(n) for movie in range(n) if (user, movie) != withheld]
    cells.sort(key=lambda cell: (7 * cell[0] + 11 * cell[1]) % (n * n + 1))
    return [
        (str(user + 1), f"m{movie}", 5.0 if (user + movie) % 2 == 0 else 1.0, 1_000 + number)
        for number, (user, movie) in enumerate(cells)
    ]
