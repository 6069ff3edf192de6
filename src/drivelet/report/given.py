"""The files that a report is written from, as types: what a person or another program wrote is checked before use."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue

from drivelet.core.outside import read_as

REMEDY = "write it again with `drivelet run`, or remove it"


class _Open(BaseModel):
    """Further keys are allowed: a recipe may measure more than the page shows."""

    model_config = ConfigDict(extra="allow")


class _Score(_Open):
    score: float | None = None
    low: float | None = None
    high: float | None = None


class _Facts(_Score):
    majority: float | None = None
    blind: float | None = None
    ece: float | None = None


class _Row(_Open):
    name: str
    average: _Score
    fields: dict[str, _Facts]
    tasks: dict[str, _Score] | None = None
    measures: dict[str, float | None] = {}
    fps: float | None = None
    weight_mb: float | None = None
    peak_rss_mb: float | None = None


class _Test(_Open):
    a: str
    b: str
    task: str
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None


class _Alarm(_Open):
    message: str


class _Summary(_Open):
    rows: list[_Row]
    tests: list[_Test] = []
    alarms: list[_Alarm] = []


class _Answer(_Open):
    task: str
    answer: str
    prob: float | None = None


class _Sample(_Open):
    image: str
    caption: str | None = None
    answers: list[_Answer] = []


class _Round(_Open):
    rejected: dict[str, float] = {}
    loop: dict[str, _Score] | None = None
    control: dict[str, _Score] | None = None


class _Painter(_Open):
    rounds: list[_Round]
    base: dict[str, _Score] | None = None


class _Value(_Open):
    value: float | None = None
    low: float | None = None
    high: float | None = None


class _Parts(_Open):
    real: _Value
    synthetic: _Value
    gap: _Value


class _Accuracy(_Open):
    tasks: dict[str, _Parts]
    average: _Parts


class _DomainGap(_Open):
    accuracy: _Accuracy
    features: list[dict[str, JsonValue]]


class _Ledger(_Open):
    rejected: dict[str, JsonValue] | None = None


SECTIONS: dict[str, Any] = {
    "samples": list[_Sample],
    "painter": _Painter,
    "domain_gap": _DomainGap,
    "labels": _Ledger | list[_Ledger],
}
"""Section -> what its file holds; of any other anything that is JSON."""


def read_summary(path: Path) -> dict[str, Any]:
    """Return what `summary.json` holds.

    Raises:
        InputError: it is missing, or no summary; names the place in it.
    """
    found: _Summary = read_as(path, _Summary, remedy="give the output folder of a finished `drivelet run`")
    return _plain(found)


def read_section(path: Path) -> Any:
    """Return what the file of a section holds.

    Raises:
        InputError: it is no JSON or not what its section shows; names the place in it.
    """
    return _plain(read_as(path, SECTIONS.get(path.stem, JsonValue), remedy=REMEDY))


def _plain(found: Any) -> Any:
    if isinstance(found, BaseModel):
        return found.model_dump(exclude_unset=True)
    return [_plain(each) for each in found] if isinstance(found, list) else found
