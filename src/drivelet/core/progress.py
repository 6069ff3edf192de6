"""One progress bar for all long work; silent when standard error is no terminal, but for one line a stage."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

T = TypeVar("T")

console = Console(stderr=True, highlight=False)
_bars = {"wanted": True}


def draw_bars(*, wanted: bool) -> None:
    """Say whether this process may draw bars: of several processes at one terminal none should."""
    _bars["wanted"] = wanted


def say(message: str, *, style: str = "") -> None:
    """Print one line for the person at the keyboard, on standard error.

    Args:
        message: shown as it is: what looks like markup in a file's name is a part of the name.
        style: of the whole line, as rich names it (`yellow`, `dim`).
    """
    console.print(Text(visible(message), style=style), soft_wrap=True)


def visible(text: str) -> str:
    """Return a text whose control characters are spelt out: a name may hold some that would move the cursor."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def track(items: Iterable[T], *, total: int, what: str) -> Iterator[T]:
    """Yield `items` beneath a progress bar named `what`."""
    if not (_bars["wanted"] and sys.stderr.isatty()):
        yield from items
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)
        for item in items:
            yield item
            bar.advance(task)
