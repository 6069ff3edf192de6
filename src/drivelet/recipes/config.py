"""The configuration of the whole loop, and `--set key=value` on it."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from drivelet.core.errors import InputError
from drivelet.dataset.mix import MixConfig
from drivelet.distil.soft_labels import SoftLabelConfig
from drivelet.distil.train import DistilConfig
from drivelet.drives.ingest import IngestConfig
from drivelet.labels.label import LabelConfig
from drivelet.prompts.search import OptimiseConfig
from drivelet.quantise.quantise import AwqConfig
from drivelet.synth.drive_sim import DriveConfig
from drivelet.synth.paint import PaintConfig
from drivelet.synth.render import RenderConfig


def mini(name: str) -> str:
    """Return the folder of a shipped mini."""
    return str(files("drivelet") / "minis" / name)


@dataclass(frozen=True, kw_only=True)
class PredictConfig:
    """How models are measured: `blind` also answers grey images; `threads` 0 takes every core."""

    blind: bool = True
    threads: int = 0


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """Everything that `drivelet run` does, in its order.

    Attributes:
        teacher, student, painter: model folders or hub ids.
        world: training renders; `test` the held-out ones; `drives` the simulated drives (used where none are given).
        adapt: LoRA of the teacher on the hand-checked images of `--images`; not run without them.
        gold_images: hand-checked images that calibrate the labelers.
        data: the control, plain fine-tuning on hard labels; `distil` the same with the teacher's soft labels.
        calibration_images: images that AWQ calibrates on.
    """

    name: str
    seed: int = 0
    teacher: str
    student: str
    painter: str
    world: RenderConfig
    test: RenderConfig
    drives: DriveConfig
    ingest: IngestConfig = field(default_factory=IngestConfig)
    adapt: DistilConfig = field(default_factory=DistilConfig)
    gold_images: int = 120
    label: LabelConfig = field(default_factory=LabelConfig)
    paint: PaintConfig = field(default_factory=PaintConfig)
    mix: MixConfig = field(default_factory=MixConfig)
    prompts: OptimiseConfig = field(default_factory=OptimiseConfig)
    soft_labels: SoftLabelConfig = field(default_factory=SoftLabelConfig)
    data: DistilConfig = field(default_factory=lambda: DistilConfig(alpha=0.0))
    distil: DistilConfig = field(default_factory=DistilConfig)
    awq: AwqConfig = field(default_factory=AwqConfig)
    calibration_images: int = 64
    predict: PredictConfig = field(default_factory=PredictConfig)


def apply_settings(config: Any, settings: Sequence[str]) -> Any:
    """Return `config` with `key=value` settings applied; keys are dotted field names, values are checked by type.

    Raises:
        InputError: no `=`, an unknown key, or a value of the wrong type.
    """
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f"--set {setting}: write it as key=value, for example distil.steps=200")
        config = _replaced(config, key.split("."), value, key)
    return config


def _replaced(config: Any, path: Sequence[str], value: str, key: str) -> Any:
    known = {f.name: f for f in dataclasses.fields(config)}
    if path[0] not in known:
        near = get_close_matches(path[0], known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
        raise InputError(f"--set {key}: unknown key {path[0]!r}; {hint}")
    current = getattr(config, path[0])
    if len(path) > 1:
        if not dataclasses.is_dataclass(current):
            raise InputError(f"--set {key}: {path[0]} has no parts; set it as {path[0]}=value")
        return dataclasses.replace(config, **{path[0]: _replaced(current, path[1:], value, key)})
    return dataclasses.replace(config, **{path[0]: _parsed(type(config), path[0], value, key)})


def _parsed(owner: type, name: str, value: str, key: str) -> Any:
    hint = get_type_hints(owner)[name]
    adapter: TypeAdapter[Any] = TypeAdapter(hint)
    for read in (adapter.validate_json, adapter.validate_strings):
        try:
            return read(value)
        except ValidationError:
            continue
    raise InputError(f"--set {key}={value}: no value of type {getattr(hint, '__name__', hint)}")


def flatten(config: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """Return every setting as (dotted key, value), in order."""
    rows: list[tuple[str, Any]] = []
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        if dataclasses.is_dataclass(value):
            rows += flatten(value, f"{prefix}{item.name}.")
        else:
            rows.append((f"{prefix}{item.name}", value))
    return rows


def cache_root() -> Path:
    """Return `$XDG_CACHE_HOME/drivelet`, `~/.cache/drivelet` by default."""
    import os

    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "drivelet"
