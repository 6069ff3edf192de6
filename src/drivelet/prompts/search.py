"""The search itself: rounds of proposals scored on train, and the exact test that lets one through on val."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from drivelet.core.artifacts import Field, Prompt
from drivelet.core.manifest import Row
from drivelet.core.ranges import Count, Seed, Several, Share, ranged
from drivelet.core.rng import derive_seed
from drivelet.core.stats import mcnemar
from drivelet.prompts.ask import Asker, Request
from drivelet.prompts.gap import is_right, soft_score
from drivelet.prompts.library import SENSOR, Form, base_entries, compose, form_of, neighbours, render_question
from drivelet.prompts.router import AllSignals, RouterConfig, SignalRouter


@dataclass(frozen=True, kw_only=True)
@ranged
class OptimiseConfig:
    """How prompts are searched.

    Attributes:
        rounds: most rounds; in each, every field tries its best proposal on val once.
        candidates_per_field: proposals a field and round.
        train_rows: train rows a field, labels in turn.
        val_rows: val rows a field, labels in turn; None takes all.
        budget_calls: most distinct model calls (one question about one image).
        patience: rounds without an accepted edit after which a field rests.
        alpha: two-sided level of McNemar's exact test.
        min_rows: fewest rows that show a scene element for its variant to be tried.
        seed: order of the proposals and choice of the rows.
        router: when a field may be left out.
    """

    rounds: Count = 3
    candidates_per_field: Several = 8
    train_rows: Several = 64
    val_rows: Several | None = None
    budget_calls: Count = 20_000
    patience: Several = 2
    alpha: Share = 0.05
    min_rows: Count = 10
    seed: Seed = 0
    router: RouterConfig = field(default_factory=RouterConfig)


@dataclass(kw_only=True)
class Search:
    """Where the search stands: the form of every field, what was tried, and the log of all candidates."""

    config: OptimiseConfig
    fields: Mapping[str, Field]
    asker: Asker
    train: Mapping[str, Sequence[Row]]
    val: Mapping[str, Sequence[Row]]
    forms: dict[str, Form]
    tried: dict[str, set[str]]
    log: list[dict[str, Any]]
    stop: str = "rounds"


def start(
    config: OptimiseConfig,
    library: Sequence[Prompt],
    fields: Mapping[str, Field],
    train: Sequence[Row],
    val: Sequence[Row],
    asker: Asker,
) -> Search:
    """Return the state before the first round: every field's first untriggered entry, subsamples of train and val."""
    base = base_entries(library, fields)
    forms = {name: form_of(base[name], one) for name, one in fields.items()}
    return Search(
        config=config,
        fields=fields,
        asker=asker,
        train=_per_field(train, "train", config.train_rows, config.seed),
        val=_per_field(val, "val", config.val_rows, config.seed),
        forms=forms,
        tried={name: {_rendered(form, fields[name])} for name, form in forms.items()},
        log=[],
    )


def _per_field(rows: Iterable[Row], split: str, most: int | None, seed: int) -> dict[str, list[Row]]:
    """Rows of each field as one split, labels in turn, each label in the order of a hash."""
    shelves: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    order = sorted(rows, key=lambda row: derive_seed(seed, "prompts", row.task, row.group, Path(row.path).name))
    for row in order:
        shelves[row.task][row.label].append(replace(row, split=split))
    chosen: dict[str, list[Row]] = {}
    for task, labels in shelves.items():
        turns = [(turn, label, row) for label, shelf in labels.items() for turn, row in enumerate(shelf)]
        chosen[task] = [row for _, _, row in sorted(turns, key=lambda t: t[:2])][:most]
    return chosen


def flat(rows: Mapping[str, Sequence[Row]]) -> list[Row]:
    """Return the rows of all fields."""
    return [row for shelf in rows.values() for row in shelf]


def _rendered(form: Form, field: Field) -> str:
    """What a form says: two forms that say the same are one candidate."""
    return render_question(compose(form, field), field, SENSOR).text


def requests_of(form: Form, field: Field, rows: Iterable[Row]) -> list[Request]:
    """Return the questions that a form puts about the images of the rows."""
    prompt = compose(form, field)
    return [(row.path, render_question(prompt, field, row.sensor)) for row in rows]


def run_rounds(search: Search, library: Sequence[Prompt]) -> None:
    """Propose, score and test until the rounds, the patience or the budget end."""
    stale = dict.fromkeys((name for name in search.forms if search.train.get(name) and search.val.get(name)), 0)
    for number in range(search.config.rounds):
        active = [name for name, idle in stale.items() if idle < search.config.patience]
        proposals = {name: _proposals(search, name, library) for name in active}
        if not any(proposals.values()):
            search.stop = "patience"
            return
        batch = [r for name in active for form in proposals[name] for r in requests_of(form, *_place(search, name))]
        batch += [r for name in active for r in requests_of(search.forms[name], *_place(search, name))]
        if not search.asker.affordable(batch):
            search.stop = "budget"
            return
        search.asker.ask(batch)
        for name in active:
            verdict = _try_best(search, name, proposals[name], number)
            if verdict is None:
                search.stop = "budget"
                return
            stale[name] = 0 if verdict else stale[name] + 1


def _place(search: Search, name: str) -> tuple[Field, Sequence[Row]]:
    return search.fields[name], search.train[name]


def _proposals(search: Search, name: str, library: Sequence[Prompt]) -> list[Form]:
    """Untried edits of the current form and untried entries of the library, in the order of a hash."""
    one = search.fields[name]
    entries = [form_of(entry, one) for entry in library if entry.field == name and not entry.triggers]
    fresh: dict[str, Form] = {}
    for form in [*neighbours(search.forms[name], one), *entries]:
        if (text := _rendered(form, one)) not in search.tried[name]:
            fresh.setdefault(text, form)
    order = sorted(fresh, key=lambda text: derive_seed(search.config.seed, "proposal", name, text))
    chosen = order[: search.config.candidates_per_field]
    search.tried[name].update(chosen)
    return [fresh[text] for text in chosen]


def _try_best(search: Search, name: str, proposals: Sequence[Form], number: int) -> bool | None:
    """Score on train, test the best on val, log all; returns whether it was accepted, None: the budget is spent."""
    if not proposals:
        return False
    one, rows = _place(search, name)
    before = _train_score(search, search.forms[name], one, rows)
    entries: list[dict[str, Any]] = []
    for form in proposals:
        score = _train_score(search, form, one, rows)
        text = _rendered(form, one)
        entries.append({"round": number, "field": name, "element": "", "text": text, "train": score, "before": before})
    search.log += entries
    best = max(range(len(proposals)), key=lambda k: (entries[k]["train"], -len(entries[k]["text"]), -k))
    for k, entry in enumerate(entries):
        entry |= {"accepted": False, "why": "another proposal scores higher on train" if k != best else ""}
    if entries[best]["train"] <= before:
        entries[best]["why"] = "no better than the current prompt on train"
        return False
    verdict = _accept(search, search.forms[name], proposals[best], one, search.val[name], entries[best])
    if verdict:
        search.forms[name] = proposals[best]
    return verdict


def _train_score(search: Search, form: Form, field: Field, rows: Sequence[Row]) -> float:
    answers = search.asker.ask(requests_of(form, field, rows))
    return sum(soft_score(row, answer, field) for row, answer in zip(rows, answers, strict=True)) / len(rows)


def _accept(
    search: Search, current: Form, candidate: Form, field: Field, rows: Sequence[Row], entry: dict[str, Any]
) -> bool | None:
    """Compare two forms on val rows by McNemar's exact test; writes the verdict into `entry`."""
    requests = [requests_of(form, field, rows) for form in (current, candidate)]
    if not search.asker.affordable([*requests[0], *requests[1]]):
        entry["why"] = "budget of calls spent before val"
        return None
    both = search.asker.ask([*requests[0], *requests[1]])
    old = [is_right(row, answer, field) for row, answer in zip(rows, both[: len(rows)], strict=True)]
    new = [is_right(row, answer, field) for row, answer in zip(rows, both[len(rows) :], strict=True)]
    p = mcnemar(old, new)
    better = sum(new) > sum(old)
    accepted = better and p <= search.config.alpha
    why = "better on val" if accepted else "gain on val may be chance" if better else "no better on val"
    entry |= {"val": sum(new) / len(rows), "val_before": sum(old) / len(rows), "n": len(rows), "p": p}
    entry |= {"accepted": accepted, "why": why}
    return accepted


def try_variants(search: Search, library: Sequence[Prompt], signals: AllSignals) -> list[Prompt]:
    """Variants for scene elements that beat the field's prompt on the frames that show the element."""
    seeing = SignalRouter([], fields=search.fields)
    elements = {(entry.field, trigger) for entry in library for trigger in entry.triggers[:1]}
    accepted: list[Prompt] = []
    for name, element in sorted(elements):
        shown = [
            [row for row in rows.get(name, ()) if element in seeing.active(signals[row.path])]
            for rows in (search.train, search.val)
        ]
        if min(len(rows) for rows in shown) < search.config.min_rows:
            continue
        one, current = search.fields[name], search.forms[name]
        form = replace(current, element=element)
        if not search.asker.affordable([r for f in (current, form) for r in requests_of(f, one, shown[0])]):
            search.stop = "budget"
            return accepted
        before, score = (_train_score(search, f, one, shown[0]) for f in (current, form))
        entry: dict[str, Any] = {"round": None, "field": name, "element": element, "text": _rendered(form, one)}
        entry |= {"train": score, "before": before, "accepted": False, "why": "no better on train"}
        search.log.append(entry)
        if score > before and _accept(search, current, form, one, shown[1], entry):
            accepted.append(compose(form, one, parent=compose(current, one).version))
    return accepted
