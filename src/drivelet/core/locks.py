"""Locks that the system lets go of when their holder ends, in whatever way it ends."""

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from drivelet.core.progress import say

PAUSE_S = 0.2


@contextmanager
def hold(path: Path, *, what: str) -> Generator[None]:
    """Hold the lock file `path`; where another process holds it, say so once and wait for its end.

    Args:
        path: the lock file; it is made where it is missing and stays.
        what: what is locked, for the line that is said.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as stream:
        if not _taken(stream):
            stream.seek(0)
            say(f"{what}: {stream.read().strip() or 'another process'} is at work on it; waiting for its end")
            while not _taken(stream):
                time.sleep(PAUSE_S)
        stream.truncate(0)
        stream.write(f"process {os.getpid()}\n")
        stream.flush()
        yield


def _taken(stream: TextIO) -> bool:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
