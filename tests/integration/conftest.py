"""One undisturbed run of the recipe `tiny`, shared by the tests of the command line."""

import subprocess
from pathlib import Path

import pytest

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
    out = tmp_path_factory.mktemp("runs") / "tiny"
    done = subprocess.run([*RUN, str(out)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (out / "printed.txt").write_text(done.stdout)
    return out
