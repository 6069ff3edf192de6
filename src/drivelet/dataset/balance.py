"""Which images enter under a ratio and a budget."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from drivelet.core.manifest import Row
from drivelet.core.rng import derive_seed


def side_counts(real: int, synthetic: int, *, share: float | None, budget: int | None) -> tuple[int, int]:
    """Return how many real and synthetic images to take.

    With a share, the largest total whose real part is `share` of it (to the nearest image) and that both sides and
    the budget can fill; without one, or with one side empty, everything, scaled down evenly to the budget.
    """
    total = real + synthetic if budget is None else min(budget, real + synthetic)
    if share is None or not real or not synthetic:
        part = round(total * real / (real + synthetic)) if total else 0
        return part, total - part
    if share > 0:
        total = int(min(total, real / share + 1e-9))
    if share < 1:
        total = int(min(total, synthetic / (1 - share) + 1e-9))
    part = min(real, round(total * share))
    return part, min(synthetic, total - part)


def select(rows: Sequence[Row], count: int, seed: int) -> set[str]:
    """Choose `count` images so that fields, and answers inside a field, come out as even as the stock allows.

    The field, and inside it the answer, with the fewest chosen rows takes the next image; inside an answer, labels
    of weight 1 come before pseudo-labels, and the order among equals is a hash of seed and file name.
    """
    of_path: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        of_path[row.path].append(row)
    order = sorted(of_path, key=lambda p: (-max(r.weight == 1 for r in of_path[p]), _draw(seed, of_path[p][0])))
    if count >= len(order):
        return set(order)
    stock: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path in reversed(order):
        for row in of_path[path]:
            stock[row.task][row.label].append(path)
    chosen: set[str] = set()
    per_field: Counter[str] = Counter()
    per_answer: Counter[tuple[str, str]] = Counter()
    while len(chosen) < count:
        path = _next(stock, per_field, per_answer, chosen)
        chosen.add(path)
        per_field.update(row.task for row in of_path[path])
        per_answer.update((row.task, row.label) for row in of_path[path])
    return chosen


def _next(
    stock: dict[str, dict[str, list[str]]], fields: Counter[str], answers: Counter[tuple[str, str]], chosen: set[str]
) -> str:
    for task in sorted(stock, key=lambda task: (fields[task], task)):
        for label in sorted(stock[task], key=lambda label: (answers[task, label], label)):
            shelf = stock[task][label]
            while shelf and shelf[-1] in chosen:
                shelf.pop()
            if shelf:
                return shelf.pop()
    raise AssertionError("the stock holds every image that is not chosen")


def _draw(seed: int, row: Row) -> int:
    """A draw that does not depend on where the sources lie: folder and file name, group, seed."""
    return derive_seed(seed, "mix", row.group, *Path(row.path).parts[-2:])
