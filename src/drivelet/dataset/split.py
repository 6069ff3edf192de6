"""Group-safe splits: what belongs together never stands on two sides."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from drivelet.core.manifest import Row
from drivelet.core.rng import derive_seed
from drivelet.dataset.duplicates import Unions

FULL = 2.0**63


def assign_splits(
    rows: Sequence[Row],
    *,
    val_share: float,
    test_share: float = 0.0,
    seed: int = 0,
    links: Iterable[tuple[str, str]] = (),
) -> list[Row]:
    """Return the rows with train, val and test assigned by the hash of their group.

    A group's side depends on the seed and its name alone, so it does not move when data is added. `links` joins
    groups (near-duplicates): joined groups move together. A row without a group is a group of its own, named by
    its path. Where the hash leaves a wanted side empty, the nearest groups fill it; train always gets one.
    """
    unions = Unions(links)
    names = [unions.find(row.group or row.path) for row in rows]
    order = sorted(set(names), key=lambda name: derive_seed(seed, "split", name))
    side = {name: _side(derive_seed(seed, "split", name) / FULL, val_share, test_share) for name in order}
    if order and "train" not in side.values():
        side[order[-1]] = "train"
    for wanted, share in (("val", val_share), ("test", test_share)):
        if share > 0 and wanted not in side.values():
            spare = next((name for name in order if side[name] == "train"), None)
            if spare is not None and list(side.values()).count("train") > 1:
                side[spare] = wanted
    return [replace(row, split=side[name]) for row, name in zip(rows, names, strict=True)]


def _side(position: float, val_share: float, test_share: float) -> str:
    if position < test_share:
        return "test"
    return "val" if position < test_share + val_share else "train"
