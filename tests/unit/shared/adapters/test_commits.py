import itertools
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared import erasure
from shared.adapters.commits import DeltaCommits, translated
from shared.adapters.lake import DeltaLake
from shared.errors import NotReady
from shared.ports import Fold, Partition
from shared.records import to_table
from shared.rows import Kind, Row

DAYS, USERS = (0, 1, 2), ("1", "2")
KINDS: tuple[Kind, ...] = ("rating", "watch")
DAY_US = 86_400_000_000

Where = tuple[str, int]
Taken = tuple[Where, int, str]
where = st.tuples(st.sampled_from(KINDS), st.sampled_from(DAYS))
folded = st.lists(st.tuples(where, st.integers(0, 9), st.sampled_from(USERS)), min_size=1, max_size=6)
story = st.lists(st.one_of(folded, where, st.sampled_from(["compact", "fence"])), min_size=3, max_size=14)


@settings(max_examples=20, deadline=None)
@given(story, st.booleans(), st.sampled_from([0, 3, 1_000]), st.sampled_from([KINDS, KINDS[1:]]))
def test_what_was_committed_since_a_version_is_told_one_by_one_or_at_once(
    story: list[list[Taken] | Where | str], somebody_is_forgotten: bool, most_steps: int, kinds: tuple[Kind, ...]
) -> None:
    """Each row of the kinds asked for once, be it delivered again, compacted, dropped, erased or fenced in between."""
    with tempfile.TemporaryDirectory() as folder:
        lake = DeltaLake(f"{folder}/lake", {}, most_steps)
        moments = itertools.count(1_764_000_000_000_000)
        committed: list[tuple[int, Row]] = []
        for number, step in enumerate(story, 1):
            if isinstance(step, list):
                made = rows(step, moments)
                version = lake.fold(to_table(made), Fold(number, []))
                committed += [(version, row) for row in made]
            elif isinstance(step, tuple):
                lake.drop([Partition(step[0], date(2025, 11, 24 + step[1]))])  # type: ignore[arg-type]
            elif step == "compact":
                lake.compact()
            else:
                lake.fence()
        if somebody_is_forgotten:
            erase(Path(lake.uri), USERS[0])
            committed = [(version, row) for version, row in committed if row.user_id != USERS[0]]
        for since in range(-1, lake.version() + 1):
            expected = Counter(row.ingested_at for version, row in committed if version > since and row.kind in kinds)
            assert came(lake, since, kinds) == (lake.version(), expected)


def rows(step: list[Taken], moments: Iterator[int]) -> list[Row]:
    """Return rows that were taken in each at a moment of its own, be it of a record that came before."""
    return [
        Row(kind, "movielog", 0, offset, next(moments) + day * DAY_US, user_id=user, movie_id=f"m{offset}", rating=1.0)  # type: ignore[arg-type]
        for (kind, day), offset, user in step
    ]


def erase(folder: Path, user_id: str) -> None:
    """Take a user out of all data files, in place."""
    for file in folder.glob("kind=*/*/*.parquet"):
        file.write_bytes(erasure.file_without(file.read_bytes(), user_id))


def came(commits: DeltaCommits, version: int, kinds: tuple[Kind, ...] = KINDS) -> tuple[int, Counter[int]]:
    """Return the newest version, and how often the row of each moment came."""
    newest, found = commits.since(version, kinds, ["ingested_at", "offset"])
    return newest, Counter(moment for each in found for moment in each["ingested_at"])


def test_who_stands_before_a_fence_goes_on(tmp_path: Path) -> None:
    """As every server does while somebody is forgotten: a change of metadata is not in the way."""
    lake = DeltaLake(str(tmp_path), {})
    lake.fold(to_table(rows([(("rating", 0), 1, "1")], itertools.count(1))), Fold(1, []))
    then = lake.version()
    lake.fence()
    lake.fence()
    lake.fold(to_table(rows([(("rating", 0), 2, "1")], itertools.count(2))), Fold(2, []))
    assert came(lake, then) == (lake.version(), {2: 1})


def test_many_commits_at_once_need_their_files(tmp_path: Path) -> None:
    """One that is away is an error, and nothing is skipped; of compacted ones it is enough that the joined is there."""
    lake = DeltaLake(str(tmp_path), {}, most_steps=1)
    for number in (1, 2, 3):
        lake.fold(to_table(rows([(("rating", 0), number, "1")], itertools.count(number))), Fold(number, []))
    small = list(tmp_path.glob("kind=*/*/*.parquet"))
    lake.compact()
    for file in small:
        file.unlink()
    assert came(lake, 0)[1].total() == 3
    for file in tmp_path.glob("kind=*/*/*.parquet"):
        file.unlink()
    with pytest.raises(NotReady, match="the lake"):
        came(lake, 0)


def test_what_went_wrong_is_told_in_one_line() -> None:
    """Of the tree of causes that delta-rs draws in colours, the words."""
    with pytest.raises(NotReady) as found, translated():
        raise OSError(
            "Kernel error -> Generic S3 error\n   \x1b[31m↳\x1b[0m HTTP error\n    \x1b[31m↳\x1b[0m refused\n"
        )
    assert str(found.value) == "the lake: Kernel error -> Generic S3 error HTTP error refused"
