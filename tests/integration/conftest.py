"""One undisturbed run of the recipe `tiny`, shared by the tests of the command line."""

import os
import subprocess
from pathlib import Path

import pytest
from filelock import FileLock

from cli_calls import RUN
from drivelet.adapters import blender
from drivelet.core.errors import MissingBackendError


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished `drivelet run tiny`; do not write into it."""
    try:
        blender.find_blender()
    except MissingBackendError as error:
        pytest.skip(f"the recipe renders: {error}")
    # pytest-xdist gives each of its processes a folder of its own below one that they share.
    shared = tmp_path_factory.getbasetemp()
    out = (shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared) / "tiny"
    with FileLock(f"{out}.lock"):
        if not (out / "printed.txt").is_file():
            done = subprocess.run([*RUN, str(out)], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            (out / "printed.txt").write_text(done.stdout)
    return out
