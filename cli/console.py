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


def clock(microseconds: int, now: int) -> str:
    """Return a moment as short as it can be beside another: the time, before it the day, or the year, if it differs."""
    then, today = (datetime.fromtimestamp(each / 1e6, UTC) for each in (microseconds, now))
    if then.date() == today.date():
        return then.strftime("%H:%M")
    return then.strftime("%m-%d %H:%M" if then.year == today.year else "%Y-%m-%d %H:%M")


def say(line: str) -> None:
    """Print a line as it is, and as one line also where no person reads it."""
    out.print(line, highlight=False, markup=False, soft_wrap=True)
