"""The studies by name: a lazy table, so that none loads before it is asked for."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from drivelet.core.errors import InputError
from drivelet.core.outputs import described
from drivelet.core.ports import Executor
from drivelet.recipes.settings import apply_settings

STUDIES = {
    "data": ("drivelet.recipes.studies.data", "DataConfig", "data"),
    "t2i": ("drivelet.recipes.studies.t2i", "T2iConfig", "t2i"),
    "temporal": ("drivelet.recipes.studies.temporal", "TemporalConfig", "temporal"),
}
"""Name -> module, its configuration, its function."""
WITH_IMAGES = ("data",)
"""The studies that take the user's images."""


def run(name: str, *, out: Path, executor: Executor, settings: Sequence[str], images: Sequence[Path] = ()) -> Path:
    """Run a study and return the path of its `study.json`.

    Raises:
        InputError: there is no such study, it takes no images, an image manifest is missing, or a setting is wrong.
    """
    if name not in STUDIES:
        raise InputError(f"study {name}: no such study; known are {', '.join(STUDIES)}")
    if images and name not in WITH_IMAGES:
        raise InputError(f"study {name}: it takes no --images; those that do are {', '.join(WITH_IMAGES)}")
    for path in images:
        if not path.is_file():
            raise InputError(f"{path}: no such manifest; correct --images")
    module, config, function = STUDIES[name]
    loaded = import_module(module)
    settled = apply_settings(getattr(loaded, config)(), settings)
    given = {"images": images} if name in WITH_IMAGES else {}
    with described(out, config=settled, inputs=given):
        return getattr(loaded, function)(settled, out=out, executor=executor, **given)
