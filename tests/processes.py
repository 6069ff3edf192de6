"""Whether processes that a test started have ended, and what they wrote before."""

import time
from pathlib import Path

import psutil


def ends(pid: int, within_s: float = 30) -> bool:
    """Wait for a process to be gone, or to be left over for its parent to take note of."""
    try:
        process = psutil.Process(pid)
        give_up = time.monotonic() + within_s
        while process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < give_up:
            time.sleep(0.1)
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def written(path: Path, within_s: float = 60) -> str:
    """Wait for a file to hold something and return that; empty if it never does."""
    give_up = time.monotonic() + within_s
    while time.monotonic() < give_up:
        if path.is_file() and (text := path.read_text()):
            return text
        time.sleep(0.1)
    return ""
