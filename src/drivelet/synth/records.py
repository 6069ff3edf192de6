"""Reading finished scene records back from render folders."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    FiniteFloat,
    NonNegativeInt,
    PositiveInt,
    Tag,
)

from drivelet.core.errors import InputError
from drivelet.core.outside import parse_as, read_lines

TABLE = "scenes.jsonl"


class _Open(BaseModel):
    """Further keys are allowed: editions of the world add some."""

    model_config = ConfigDict(extra="allow")


class _Thing(_Open):
    id: int
    kind: str
    box: tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat] | None
    pixels: NonNegativeInt
    visible: bool


class _Light(_Thing):
    facing: bool
    state: str


def _sort(thing: Any) -> str:
    return "light" if isinstance(thing, dict) and thing.get("kind") in ("lamp", "traffic_light") else "thing"


class _Setting(_Open):
    light: str
    weather: str


class _Record(_Open):
    """A finished record: its picture beneath the folder, and what a crop or an export takes from it."""

    image: Annotated[str, Field(min_length=1)]
    size: tuple[PositiveInt, PositiveInt]
    setting: _Setting
    objects: list[Annotated[Annotated[_Thing, Tag("thing")] | Annotated[_Light, Tag("light")], Discriminator(_sort)]]


def read_records(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the finished scene records of one render folder or drive.

    Raises:
        InputError: a line is no record.
    """
    path, remedy = folder / TABLE, "render into this folder again"
    for number, line in read_lines(path, remedy=remedy):
        where = f"{path} line {number}: no finished scene record"
        parse_as(line, _Record, where=where, remedy=remedy, unnamed=("thing", "light"))
        yield parse_as(line, dict[str, Any], where=where, remedy=remedy)


def rendered_frames(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield (image file, finished scene record) of a render folder, or of all drives in it.

    Raises:
        InputError: there are none, or a line is no record.
    """
    tables = sorted(folder.rglob(TABLE))
    if not tables:
        raise InputError(f"{folder}: no rendered frames ({TABLE}); run `drivelet render --out {folder}` first")
    for table in tables:
        for record in read_records(table.parent):
            yield table.parent / record["image"], record
