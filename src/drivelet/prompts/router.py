"""The router: which prompts a frame activates, from cheap signals; a field is left out only where that is safe."""

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, FiniteFloat

from drivelet.core.artifacts import UNKNOWN, Field, Prompt
from drivelet.core.errors import InputError
from drivelet.core.manifest import Row
from drivelet.core.outside import read_as, short
from drivelet.core.ranges import Several, Share, ranged
from drivelet.prompts.library import base_entries, load_library, render_question

FILE = "router.json"
ELEMENTS: Mapping[str, tuple[str, str, float]] = {
    "night": ("brightness", "below", 90.0),
    "fog": ("contrast", "below", 24.0),
    "lamp": ("lamp", "above", 0.2),
    "cone": ("orange", "above", 1.0),
    "sign": ("plate", "above", 2.0),
    "intersection": ("bars", "above", 3.0),
}
"""Scene element -> (signal, side, threshold) that triggers its prompts; a wrong trigger costs a sentence, no answer."""

AllSignals = Mapping[str, Mapping[str, float]]
"""Image path -> signals."""


@dataclass(frozen=True, kw_only=True)
@ranged
class RouterConfig:
    """When a field may be left out.

    Attributes:
        min_recall: share of the frames that hold the thing which must be asked, on train in every source, and on val.
        min_present: fewest train frames that hold the thing; with fewer the field is always asked.
        min_source: a source with at least this many such frames must reach the recall by itself.
        min_saving: least share of the train frames that must be left out for the rule to be worth its risk.
    """

    min_recall: Share = 0.99
    min_present: Several = 50
    min_source: Several = 20
    min_saving: Share = 0.05


@dataclass(frozen=True, kw_only=True)
class PresenceRule:
    """A field is left out of frames whose `signal` lies below `threshold`."""

    signal: str
    threshold: FiniteFloat


class SignalRouter:
    """Chooses prompts by thresholds on signals. Implements `core.ports.Router`.

    Args:
        prompts: the chosen entries: one without triggers a field, and triggered variants.
        fields: every field by name; a field without an entry gets its canonical one.
        rules: field -> rule under which it is left out; a field without a rule is always asked.
        elements: scene element -> (signal, `below` or `above`, threshold).
    """

    def __init__(
        self,
        prompts: Sequence[Prompt],
        *,
        fields: Mapping[str, Field],
        rules: Mapping[str, PresenceRule] | None = None,
        elements: Mapping[str, tuple[str, str, float]] = ELEMENTS,
    ) -> None:
        self.rules = dict(rules or {})
        self.elements = dict(elements)
        self._base = {name: base_entries(prompts, fields)[name] for name in fields}
        self._variants: dict[str, list[Prompt]] = defaultdict(list)
        for prompt in prompts:
            if prompt.triggers:
                self._variants[prompt.field].append(prompt)

    def route(self, signals: Mapping[str, float]) -> Mapping[str, Prompt | None]:
        """Return for every field the prompt to ask, or None where the field is left out.

        A signal that is missing leaves nothing out. `previous:FIELD` of 0.5 or more (the last frame's answer was not
        the absent one) keeps the field asked, so a thing that was seen does not vanish by a threshold.
        """
        active = self.active(signals)
        return {name: None if self._absent(name, signals) else self._prompt(name, active) for name in self._base}

    def active(self, signals: Mapping[str, float]) -> set[str]:
        """Return the scene elements that the signals show."""
        return {
            name
            for name, (signal, side, threshold) in self.elements.items()
            if signal in signals and (signals[signal] < threshold if side == "below" else signals[signal] >= threshold)
        }

    def _absent(self, name: str, signals: Mapping[str, float]) -> bool:
        rule = self.rules.get(name)
        seen_before = signals.get(f"previous:{name}", 0.0) >= 0.5
        return rule is not None and not seen_before and signals.get(rule.signal, math.inf) < rule.threshold

    def _prompt(self, name: str, active: set[str]) -> Prompt:
        """The variant with the most triggers, all of them active; the first of equals; else the base entry."""
        fitting = [prompt for prompt in self._variants[name] if active.issuperset(prompt.triggers)]
        return max(fitting, key=lambda prompt: len(prompt.triggers), default=self._base[name])


def presence(row: Row, field: Field) -> bool | None:
    """Return whether the labelled frame holds what the field asks about; None where the label leaves it open."""
    allowed = field.parse(row.label)
    if allowed == {field.absent}:
        return False
    return None if field.absent in allowed or UNKNOWN in allowed else True


def calibrate(
    config: RouterConfig,
    *,
    rows: Sequence[Row],
    signals: AllSignals,
    fields: Mapping[str, Field],
) -> dict[str, PresenceRule]:
    """Return for each field the rule that leaves out most train frames at the wanted recall, where there is one.

    Every signal that all frames have is tried: image statistics, or what a detector or another model adds to them. The
    threshold is the largest that keeps the recall on train in every source with enough frames; the rule must then
    hold the recall on val (where val has such frames). Otherwise the field has no rule and is always asked.
    """
    rules: dict[str, PresenceRule] = {}
    for name, field in fields.items():
        mine = [(row, there) for row in rows if row.task == name and (there := presence(row, field)) is not None]
        train = [(row, there) for row, there in mine if row.split == "train"]
        if sum(there for _, there in train) < config.min_present:
            continue
        found = [(rule, _left_out(rule, train, signals)) for rule in _rules(config, train, signals)]
        val = [row for row, there in mine if row.split == "val" and there]
        safe = [(rule, saved) for rule, saved in found if _recall(rule, val, signals) >= config.min_recall]
        best = max(safe, key=lambda item: item[1], default=None)
        if best and best[1] >= config.min_saving:
            rules[name] = best[0]
    return rules


def _rules(config: RouterConfig, train: Iterable[tuple[Row, bool]], signals: AllSignals) -> list[PresenceRule]:
    present: dict[str, list[Row]] = defaultdict(list)
    for row, there in train:
        if there:
            present[row.source].append(row)
            present[""].append(row)
    pools = [rows for source, rows in present.items() if source == "" or len(rows) >= config.min_source]
    rules: list[PresenceRule] = []
    names = set.intersection(*(set(signals[row.path]) for pool in pools for row in pool))
    for signal in sorted(names):
        values = [sorted(signals[row.path][signal] for row in pool) for pool in pools]
        missed = [math.floor((1 - config.min_recall) * len(pool) + 1e-9) for pool in pools]
        threshold = min(pool[count] for pool, count in zip(values, missed, strict=True))
        rules.append(PresenceRule(signal=signal, threshold=threshold))
    return rules


def _recall(rule: PresenceRule, rows: Sequence[Row], signals: AllSignals) -> float:
    return sum(signals[row.path][rule.signal] >= rule.threshold for row in rows) / len(rows) if rows else 1.0


def _left_out(rule: PresenceRule, items: Sequence[tuple[Row, bool]], signals: AllSignals) -> float:
    return sum(signals[row.path][rule.signal] < rule.threshold for row, _ in items) / len(items)


def routing_report(
    router: SignalRouter,
    *,
    rows: Sequence[Row],
    signals: AllSignals,
    fields: Mapping[str, Field],
    count_tokens: Callable[[str], int],
) -> dict[str, Any]:
    """Compare the router with an oracle (asks exactly where the thing is) and with asking always.

    Returns:
        field -> `n`, `present`, and for `router`, `oracle`, `always`: `recall` of presence, `left_out` (share of
        frames) and `tokens` (of the questions a frame, mean). Rows whose label leaves presence open are not counted.
    """
    report: dict[str, Any] = {}
    for name, field in fields.items():
        mine = [(row, there) for row in rows if row.task == name and (there := presence(row, field)) is not None]
        if not mine:
            continue
        routes = [router.route(signals[row.path])[name] for row, _ in mine]
        full = [router.route({**signals[row.path], f"previous:{name}": 1.0})[name] for row, _ in mine]
        costs = [_tokens(prompt, field, row, count_tokens) for prompt, (row, _) in zip(full, mine, strict=True)]
        there = [present for _, present in mine]
        asked = [prompt is not None for prompt in routes]
        report[name] = {
            "n": len(mine),
            "present": sum(there),
            "router": _line(asked, there, costs),
            "oracle": _line(there, there, costs),
            "always": _line([True] * len(mine), there, costs),
        }
    return report


def _tokens(prompt: Prompt | None, field: Field, row: Row, count: Callable[[str], int]) -> int:
    return count(render_question(prompt, field, row.sensor).text) if prompt else 0


def _line(asked: Sequence[bool], there: Sequence[bool], costs: Sequence[int]) -> dict[str, float | None]:
    hits = sum(a and t for a, t in zip(asked, there, strict=True))
    return {
        "recall": hits / sum(there) if any(there) else None,
        "left_out": 1 - sum(asked) / len(asked),
        "tokens": sum(cost for cost, a in zip(costs, asked, strict=True) if a) / len(asked),
    }


def save_router(folder: Path, router: SignalRouter) -> Path:
    """Write `folder/router.json`: rules and elements."""
    body = {"rules": {name: asdict(rule) for name, rule in router.rules.items()}, "elements": router.elements}
    (folder / FILE).write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    return folder / FILE


class _File(BaseModel):
    rules: dict[str, PresenceRule]
    elements: dict[str, tuple[str, Literal["below", "above"], FiniteFloat]]


def load_router(folder: Path, fields: Mapping[str, Field]) -> SignalRouter:
    """Read the router of a prompts folder; without `router.json` every field is always asked.

    Raises:
        InputError: no or damaged `prompts.json`, or a damaged `router.json`.
    """
    prompts = load_library(folder, fields)
    path = folder / FILE if folder.is_dir() else folder.with_name(FILE)
    if not (path.exists() or path.is_symlink()):
        return SignalRouter(prompts, fields=fields)
    found: _File = read_as(path, _File, remedy="run `drivelet prompts optimise` again")
    strange = [*(found.rules.keys() - fields.keys()), *(found.elements.keys() - ELEMENTS.keys())]
    if strange:
        raise InputError(f"{path}: {short(strange[0])} is no field and no element; run `prompts optimise` again")
    return SignalRouter(prompts, fields=fields, rules=found.rules, elements=found.elements)
