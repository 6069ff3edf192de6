"""Settings of all tests: property tests draw the same examples every time and never judge by the clock.

Models come from session fixtures: a tiny one with random weights, and the same one overfitted on four pictures.
"""

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from drivelet.vlm.load import Loaded

settings.register_profile("drivelet", deadline=None, derandomize=True)
settings.load_profile("drivelet")
# A shell that starts the tests in the background has them ignore Ctrl-C; some of them press it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny vision-language model of random weights; do not write into it."""
    from tiny_vlm import save_tiny

    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> "Loaded":
    """That model, loaded in float32; do not change it."""
    import torch

    from drivelet.vlm.load import load

    return load(tiny_folder, dtype=torch.float32)


@pytest.fixture(scope="session")
def taught_folder(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny model after it learned four pictures by heart; do not write into it."""
    from tiny_vlm import save_taught

    return save_taught(tiny_folder, tmp_path_factory.mktemp("models") / "taught")


@pytest.fixture(scope="session")
def taught(taught_folder: Path) -> "Loaded":
    """That model, loaded in float32; do not change it."""
    import torch

    from drivelet.vlm.load import load

    return load(taught_folder, dtype=torch.float32)
