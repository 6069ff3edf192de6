"""Our own modules run as child processes, so that one is measured by itself."""

import subprocess
import sys
from collections.abc import Sequence

from drivelet.core.errors import InputError


def run_module(module: str, arguments: Sequence[str], *, what: str) -> None:
    """Run `python -m module arguments` to its end.

    Args:
        what: what it does, for the line that is told where it fails.

    Raises:
        InputError: it refused its input (exit code 2), or was killed.
        RuntimeError: it failed in another way.
    """
    # -P: with -m alone Python would import modules from the working directory, which may hold other people's data.
    command = [sys.executable, "-P", "-m", module, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 2:
        raise InputError(done.stderr.strip().splitlines()[-1].removeprefix("drivelet: "))
    if done.returncode < 0:
        raise InputError(
            f"{what}: its process was killed, often by the system for want of memory; run the same command again"
        )
    if done.returncode:
        raise RuntimeError(f"{what} failed:\n{done.stderr}")
