"""Mix search: the ratio of sources that does best on validation data, by successive halving over a coarse grid.

It trains nothing itself and never sees a test split: the recipe hands in a function that mixes, trains and scores.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drivelet.core.errors import InputError
from drivelet.core.ranges import Folds, Positive, Several, ranged

Mix = Mapping[str, float]
"""Source -> its share; the shares sum to 1."""
Evaluate = Callable[[Mix, float], float]
"""(mix, effort in (0, 1]: the share of a full training) -> score on the validation split."""


@dataclass(frozen=True, kw_only=True)
@ranged
class SearchConfig:
    """How far the search goes.

    Attributes:
        parts: shares are multiples of 1/parts; the grid is made coarser where it would not fit the budget.
        rungs: trainings get longer from rung to rung by `halving`, and as many times fewer mixes go on.
        halving: that factor.
        budget: most effort altogether, in full trainings.
    """

    parts: Several = 4
    rungs: Several = 2
    halving: Folds = 3
    budget: Positive = 12.0


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training: which rung, how long, on which mix, and its validation score."""

    rung: int
    effort: float
    mix: dict[str, float]
    score: float


@dataclass(frozen=True, kw_only=True)
class Found:
    """The best mix of the last rung, and every trial in the order of its running."""

    best: dict[str, float]
    trials: list[Trial]


def search_mix(config: SearchConfig, *, sources: Sequence[str], evaluate: Evaluate) -> Found:
    """Return the best mix of `sources` within the budget.

    Successive halving (Jamieson and Talwalkar 2016): all mixes of a simplex grid get a short training, the best of
    them a longer one, until a few get a full one. Equal scores go to the mix that comes first; nothing is drawn.

    Args:
        config: grid, rungs and budget.
        sources: at least one.
        evaluate: trains and scores a mix; it must not look at a test split.

    Raises:
        InputError: there is no source, or the budget holds not even the coarsest grid.
    """
    mixes = _affordable(config, sources)
    trials: list[Trial] = []
    for rung in range(config.rungs):
        effort = float(config.halving) ** (rung + 1 - config.rungs)
        scored = [Trial(rung=rung, effort=effort, mix=mix, score=float(evaluate(mix, effort))) for mix in mixes]
        trials += scored
        ranked = sorted(range(len(scored)), key=lambda place: (-scored[place].score, place))
        mixes = [scored[place].mix for place in ranked[: -(-len(scored) // config.halving)]]
    return Found(best=mixes[0], trials=trials)


def _affordable(config: SearchConfig, sources: Sequence[str]) -> list[dict[str, float]]:
    if not sources or config.parts < 1 or config.rungs < 1 or config.halving < 2:
        raise InputError("mix search: it needs a source, parts and rungs of 1 or more and a halving of 2 or more")
    for parts in range(config.parts, 0, -1):
        grid = simplex(sources, parts)
        if cost(len(grid), config) <= config.budget + 1e-9:
            return grid
    raise InputError(
        f"mix search: a budget of {config.budget} trainings is too small for {len(sources)} sources; "
        f"give {cost(len(sources), config):.2f} or more"
    )


def simplex(sources: Sequence[str], parts: int) -> list[dict[str, float]]:
    """Return every mix whose shares are multiples of 1/parts, the first source's largest share first."""
    return [{n: c / parts for n, c in zip(sources, counts, strict=True)} for counts in _counts(len(sources), parts)]


def _counts(places: int, parts: int) -> Iterator[tuple[int, ...]]:
    if places == 1:
        yield (parts,)
        return
    for first in range(parts, -1, -1):
        yield from ((first, *rest) for rest in _counts(places - 1, parts - first))


def cost(mixes: int, config: SearchConfig) -> float:
    """Return the effort of a search over so many mixes, in full trainings."""
    total = 0.0
    for rung in range(config.rungs):
        total += mixes * float(config.halving) ** (rung + 1 - config.rungs)
        mixes = -(-mixes // config.halving)
    return total


def trial_records(found: Found) -> list[dict[str, Any]]:
    """Return the trials as records for a table: rung, effort, a column a source, score, and which was chosen."""
    last = max(trial.rung for trial in found.trials)
    return [
        {
            "rung": trial.rung,
            "effort": round(trial.effort, 4),
            **trial.mix,
            "score": round(trial.score, 6),
            "chosen": "yes" if trial.rung == last and trial.mix == found.best else "",
        }
        for trial in found.trials
    ]
