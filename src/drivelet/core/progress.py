"""One progress bar for all long work; silent when standard error is no terminal, but for one line a stage."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

T = TypeVar("T")

console = Console(stderr=True, highlight=False)
_bars = {"wanted": True}


def draw_bars(*, wanted: bool) -> None:
    """Say whether this process may draw bars: of several processes at one terminal none should."""
    _bars["wanted"] = wanted


def say(message: str) -> None:
    """Print one line for the person at the keyboard, on standard error."""
    console.print(message, soft_wrap=True)


def track(items: Iterable[T], *, total: int, what: str) -> Iterator[T]:
    """Yield `items` beneath a progress bar named `what`."""
    if not (_bars["wanted"] and sys.stderr.isatty()):
        yield from items
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)
        for item in items:
            yield item
            bar.advance(task)
