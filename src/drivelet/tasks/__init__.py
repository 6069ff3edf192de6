"""The driving tasks, one file each: a module of this folder that defines `TASK` is a task."""

import pkgutil
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from drivelet.core import flow
from drivelet.core.artifacts import Field, Task

_FIRST = ("traffic_light", "cone", "speed_limit", "intersection")


def load() -> dict[str, Task]:
    """Return every task by name: the four of the paper in its order, then others alphabetically."""
    modules = (import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__))
    found: dict[str, Task] = {module.TASK.name: module.TASK for module in modules if hasattr(module, "TASK")}
    first = [name for name in _FIRST if name in found]
    return {name: found[name] for name in [*first, *sorted(found.keys() - set(first))]}


def fields() -> dict[str, Field]:
    """Return every field of every task by its full name (`task.field`), in the order of `load`."""
    return {field.name: field for task in load().values() for field in task.fields}


@flow.stage()
def gold(scene: Mapping[str, Any]) -> dict[str, str]:
    """Return the exact answer of every field for a finished scene record.

    Args:
        scene: a record with `facts`: `governing_lamp` (red, yellow, green, off, none, unknown), `cone_count_visible`,
            `cones_in_path`, `posted` (int or None, in `unit`), `unit` (km/h or mph), `region_default` (in `unit`),
            `visibility_m`, `rain`, `light` (day, dusk, night), `fog`, `intersection` (none, ahead, stop_required).

    Raises:
        ValueError: a fact has a value for which the field has no answer.
    """
    return {name: field.gold(scene) for name, field in fields().items()}
