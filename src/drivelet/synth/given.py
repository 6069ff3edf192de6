"""Scene records that a user gives to be rendered: read, and checked before Blender starts."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, FiniteFloat, JsonValue, Tag

from drivelet.core.errors import InputError
from drivelet.core.outside import parse_as, read_lines
from drivelet.synth.domain import full
from drivelet.synth.scene import sample_scene

Triple = Annotated[list[FiniteFloat], Field(min_length=3, max_length=3)]
Pair = Annotated[list[FiniteFloat], Field(min_length=2, max_length=2)]
Positive = Annotated[FiniteFloat, Field(gt=0)]
Side = Annotated[int, Field(ge=16, le=8192)]


SHAPES = ("pool", "sweep", "patch")


class _Open(BaseModel):
    """Further keys are allowed: editions of the world add some."""

    model_config = ConfigDict(strict=True, extra="allow")


class _Camera(_Open):
    at: Triple
    yaw: FiniteFloat
    pitch: FiniteFloat
    hfov: Annotated[FiniteFloat, Field(gt=5, lt=150)]


class _Part(_Open):
    asset: str
    at: Triple
    scale: Triple
    color: Triple
    index: Annotated[int, Field(ge=0)]


class _Sweep(_Part):
    points: Annotated[list[Triple], Field(min_length=2)]
    profile: Annotated[list[Pair], Field(min_length=2)]
    material: str
    dash: Annotated[list[Positive], Field(min_length=2, max_length=2)] | None = None


class _Patch(_Part):
    points: Annotated[list[Triple], Field(min_length=3)]
    material: str
    drop: FiniteFloat = 0.0


def _shape(part: Any) -> str:
    """Which model a part follows: meshes of the renderer's pool, or one of those that are made for the scene."""
    asset = part.get("asset") if isinstance(part, dict) else None
    return asset if asset in SHAPES[1:] else SHAPES[0]


_AnyPart = Annotated[
    Annotated[_Part, Tag("pool")] | Annotated[_Sweep, Tag("sweep")] | Annotated[_Patch, Tag("patch")],
    Discriminator(_shape),
]


class _Object(_Open):
    id: Annotated[int, Field(ge=1)]
    kind: str
    at: Triple


class _Scene(_Open):
    id: Annotated[str, Field(min_length=1)]
    seed: Annotated[int, Field(ge=0)]
    size: Annotated[list[Side], Field(min_length=2, max_length=2)]
    camera: _Camera
    world: dict[str, Any]
    setting: dict[str, Any]
    parts: Annotated[list[_AnyPart], Field(min_length=1)]
    objects: list[_Object]


@dataclass(frozen=True, kw_only=True)
class SceneFile:
    """A checked file of scene records, which are read one by one."""

    path: Path
    offsets: tuple[int, ...]

    def at(self, index: int) -> dict[str, Any]:
        """Return a record by its number."""
        with self.path.open("rb") as stream:
            stream.seek(self.offsets[index])
            return json.loads(stream.readline())


def open_scenes(path: Path) -> SceneFile:
    """Check a file of unrendered scene records, one JSON object a line as `drivelet render --plan` writes them.

    Raises:
        InputError: the file is missing or empty, or a line is no scene: names the line, the key and what is wrong.
    """
    example, offsets, start = sample_scene(0, 0, full()), [], 0
    for number, line in read_lines(path, remedy="give scene records as `drivelet render --plan` writes them"):
        if line.strip():
            _check(line, f"{path} line {number}", example)
            offsets.append(start)
        start += len(line)
    if not offsets:
        raise InputError(f"{path}: it holds no scene; give one JSON object a line")
    return SceneFile(path=path, offsets=tuple(offsets))


def _check(line: bytes, where: str, example: dict[str, Any]) -> None:
    record = parse_as(line, JsonValue, where=where, remedy="give one scene record a line")
    if isinstance(record, dict) and "image" in record and "parts" not in record:
        raise InputError(f"{where}: this is a finished record of scenes.jsonl, without parts; give one of `--plan`")
    scene: _Scene = parse_as(line, _Scene, where=where, remedy="correct the scene", unnamed=SHAPES)
    for name in ("world", "setting"):
        missing = sorted(example[name].keys() - getattr(scene, name).keys())
        if missing:
            raise InputError(f"{where}: {name} lacks {', '.join(missing)}; correct the scene")
    strange = {part.index for part in scene.parts} - {0, *(item.id for item in scene.objects)}
    if strange:
        raise InputError(f"{where}: parts.index {min(strange)} names no object's id; correct the scene")
