"""`marquee replay`, `backfill` and `titles`: what comes into Kafka, the lake and the bucket from outside."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer

from cli import backfill as bulk
from cli.console import out, progress
from cli.ratings import Titles, read_ratings, read_titles
from cli.replay import read_lines
from cli.replay import replay as send
from cli.site import log_lines
from cli.where import environment
from shared import bootstrap, keys
from shared import titles as catalogue
from shared.errors import BadInput, Corrupt
from shared.events import MOVIELOG
from shared.lines import Limits
from shared.ports import ObjectStore
from shared.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(replay)
    app.command()(backfill)
    app.command()(titles)


def replay(
    file: Annotated[
        Path, typer.Argument(help="A log file, one line a record, or a CSV of ratings, sent as lines; .gz is unpacked.")
    ],
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Lines a second; as fast as possible if not given.")
    ] = None,
    topic: Annotated[str, typer.Option(help="The topic to write to.")] = MOVIELOG,
) -> None:
    """Push a log file into Kafka, as the site would write it.

    Example: marquee replay site.log.gz --rate 200

    Example: marquee replay data/movielens-small/ratings.csv.gz
    """
    total = sum(1 for _ in lines_of(file))
    settings = Settings.from_env(environment("KAFKA_BOOTSTRAP"))
    with progress() as bars:
        task = bars.add_task(f"{file.name} → {topic}", total=total)
        sent = send(lines_of(file), settings, topic, rate, lambda n: bars.update(task, completed=n))
    out.print(f"{sent:,} lines are in Kafka.")


def titles(
    file: Annotated[Path, typer.Argument(help="CSV with movie_id and title, and perhaps year; .gz is unpacked.")],
) -> None:
    """Store what movies are called, for answers in JSON and explanations.

    Example: marquee titles data/movielens-small/movies.csv.gz
    """
    found = read_titles(file)
    store_titles(bootstrap.build("titles", environment(), writes=False).objects, found)
    out.print(f"{len(found):,} titles are in the bucket; answers have them within a minute.")


def store_titles(objects: ObjectStore, found: Mapping[str, Titles]) -> None:
    """Replace the catalogue in the bucket. Raises: BadInput if an id or a title is empty or too long."""
    try:
        objects.put(keys.TITLES, catalogue.encode({movie: each.title for movie, each in found.items()}))
    except Corrupt as error:
        raise BadInput(str(error)) from error


def lines_of(file: Path) -> Iterator[bytes]:
    """Yield the lines of a log file, or those the site would have logged for a CSV of ratings.

    Raises: BadInput if the file cannot be read, or its ratings have no times: the parser would take none of them.
    """
    if ".csv" not in file.suffixes:
        yield from read_lines(file)
        return
    ratings = read_ratings(file).sort_by("time")
    if ratings["time"].cast(pa.int64())[0].as_py() < Limits().earliest:
        raise BadInput(f"{file}: a line of the log needs a time from 1990 on; is there a column timestamp, in seconds?")
    yield from log_lines(ratings, with_bad_lines=False)


def backfill(
    topic: Annotated[str, typer.Argument(help="The topic to read, from where the last backfill ended.")] = MOVIELOG,
) -> None:
    """Read what is in Kafka now straight into the lake, in bulk, exactly once.

    A backfill that is stopped goes on where it was when it is started again. Readers of the lake see each record once,
    also those that `ingest` had stored before.

    Example: marquee backfill movielog
    """
    settings = environment("S3_ENDPOINT", "KAFKA_BOOTSTRAP")
    spans = bulk.plan(topic, settings)
    if not spans:
        out.print(f"Nothing new in {topic} since the last backfill.")
        return
    with progress() as bars:
        tasks = {
            span.partition: bars.add_task(f"{topic}-{span.partition}", total=span.end - span.first) for span in spans
        }
        first = {span.partition: span.first for span in spans}
        rows = bulk.backfill(
            topic, spans, settings, lambda p, offset: bars.update(tasks[p], completed=offset - first[p])
        )
    out.print(f"{rows:,} records were read into the lake; those that it had already are seen once.")
