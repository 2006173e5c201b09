"""Where the command writes: answers to standard output, progress and errors to standard error."""

from datetime import UTC, datetime

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

out = Console()
errors = Console(stderr=True)


def progress() -> Progress:
    """Return progress bars for long work, drawn on standard error."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=errors,
    )


def moment(microseconds: int) -> str:
    """Return a moment, given in microseconds since 1970, for people to read; UTC."""
    return datetime.fromtimestamp(microseconds / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")
