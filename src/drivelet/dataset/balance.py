"""Which images enter under a ratio and a budget."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from drivelet.core.errors import InputError
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


def origin_counts(available: Mapping[str, int], *, shares: Mapping[str, float], budget: int | None) -> dict[str, int]:
    """Return how many images of each source to take: the largest total that keeps the shares and the budget.

    Shares need not sum to 1; parts are rounded down, and the largest remainders get what is left.

    Raises:
        InputError: a share is negative or none is positive, or a source with a share has no image.
    """
    total_share = sum(shares.values())
    if min(shares.values()) < 0 or total_share <= 0:
        raise InputError(f"mix: shares {dict(shares)} must not be negative, and one must be positive; correct `shares`")
    wanted = {name: share / total_share for name, share in shares.items() if share > 0}
    missing = [name for name in wanted if not available.get(name)]
    if missing:
        there = ", ".join(name for name, count in available.items() if count) or "none of them"
        raise InputError(f"mix: shares ask for {missing[0]}, of which no training image is there; there is {there}")
    total = min(int(available[name] / share + 1e-9) for name, share in wanted.items())
    total = total if budget is None else min(total, budget)
    counts = {name: int(total * share + 1e-9) for name, share in wanted.items()}
    by_remainder = sorted(wanted, key=lambda name: (counts[name] - total * wanted[name], name))
    for name in by_remainder[: total - sum(counts.values())]:
        counts[name] = min(counts[name] + 1, available[name])
    return counts


def select(rows: Sequence[Row], count: int, seed: int, *, even: bool = True) -> set[str]:
    """Choose `count` images so that fields, and answers inside a field, come out as even as the stock allows.

    The field, and inside it the answer, with the fewest chosen rows takes the next image; inside an answer, labels
    of weight 1 come before pseudo-labels, and the order among equals is a hash of seed and file name. Where `even` is
    false, that hash alone decides.
    """
    of_path: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        of_path[row.path].append(row)
    drawn = {path: min(_draw(seed, row) for row in found) for path, found in of_path.items()}
    if not even or count >= len(of_path):
        return set(sorted(drawn, key=drawn.__getitem__)[:count])
    order = sorted(of_path, key=lambda p: (-max(r.weight == 1 for r in of_path[p]), drawn[p]))
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
