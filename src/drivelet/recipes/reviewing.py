"""Reviewing pseudo-labels: the page on a labelled folder, and its decisions over labels that were made anew."""

from collections.abc import Callable, Sequence
from getpass import getuser
from pathlib import Path

from drivelet import tasks
from drivelet.drives.frames import frames_at
from drivelet.labels.ledger import summarise
from drivelet.recipes.named import fields_named
from drivelet.review.decisions import apply_journal, locked
from drivelet.review.desk import Desk
from drivelet.review.queue import Only
from drivelet.review.server import serve


def review_command(
    folder: Path,
    *,
    host: str,
    port: int,
    reviewer: str | None,
    only: Only,
    names: Sequence[str],
    announce: Callable[[str], None],
) -> None:
    """Serve the review page of a labelled folder until Ctrl-C, then say what stands.

    Raises:
        InputError: no labelled folder, a second reviewer on it, or a port that cannot be had.
    """
    wanted = fields_named(names, option="--task") if names else ()
    with locked(folder, "drivelet review"):
        desk = Desk(
            folder, fields=tasks.fields(), summarise=summarise, reviewer=reviewer or _user(), only=only, wanted=wanted
        )
        serve(desk, frames_at, host=host, port=port, announce=lambda link: announce(f"review at {link} (Ctrl-C ends)"))
    stands = ", ".join(f"{count} {name}" for name, count in desk.counts().items())
    announce(f"{folder / 'labels.lance'}: {stands}; {desk.progress()['left']} left")


def reapply_reviews(folder: Path) -> int:
    """Lay earlier decisions over labels that were made anew; return how many stand (0 where nobody reviewed)."""
    return apply_journal(folder, summarise)


def _user() -> str:
    """An account without a name (a container's) is `reviewer`."""
    try:
        return getuser()
    except (KeyError, OSError):
        return "reviewer"
