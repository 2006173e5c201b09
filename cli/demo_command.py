"""`marquee demo`."""

from typing import Annotated

import typer

from cli import demo


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="demo")(run)


def run(
    ratings: Annotated[
        int, typer.Option(min=2_000, help="How many of the sample's ratings, the oldest first.")
    ] = 100_004,
) -> None:
    """Watch real ratings become recommendations, on real parts, in about three minutes; nothing stays running.

    The first 90 % of data/movielens-small stream through Kafka into the lake, train both models, and are served
    from, while the rest streams in.
    """
    demo.run(ratings)
