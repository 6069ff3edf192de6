"""The studies by name: a lazy table, so that none loads before it is asked for."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from drivelet.core.errors import InputError
from drivelet.core.ports import Executor
from drivelet.recipes.settings import apply_settings

STUDIES = {
    "t2i": ("drivelet.recipes.t2i", "T2iConfig", "t2i"),
    "temporal": ("drivelet.recipes.temporal", "TemporalConfig", "temporal"),
}
"""Name -> module, its configuration, its function."""


def run(name: str, *, out: Path, executor: Executor, settings: Sequence[str]) -> Path:
    """Run a study and return the path of its `study.json`.

    Raises:
        InputError: there is no such study, or a setting is wrong.
    """
    if name not in STUDIES:
        raise InputError(f"study {name}: no such study; known are {', '.join(STUDIES)}")
    module, config, function = STUDIES[name]
    loaded = import_module(module)
    return getattr(loaded, function)(apply_settings(getattr(loaded, config)(), settings), out=out, executor=executor)
