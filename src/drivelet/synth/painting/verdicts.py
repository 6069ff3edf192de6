"""What a scorer confirms of painted pictures, picture by picture and as shares with intervals."""

from collections.abc import Mapping, Sequence

from drivelet.core.artifacts import ImageArray
from drivelet.core.ports import Scorer
from drivelet.core.stats import mean_interval
from drivelet.synth.painting.captions import CONES, LAMP

BOTH, ALL = "both", "all"
"""Lamp and cones; every stated fact that a scorer knows."""


def verdicts(
    images: Sequence[ImageArray], asked: Sequence[Mapping[str, str]], scorer: Scorer
) -> dict[str, list[float]]:
    """Return for each fact, for `both` (lamp and cones) and for `all` whether `scorer` confirms each picture (1 or 0).

    A fact is confirmed at a probability of one half or more.
    """
    found = [scorer.score(image, facts) for image, facts in zip(images, asked, strict=True)]
    names = found[0] if found else {}
    hits = {name: [float(scores.get(name, 0.0) >= 0.5) for scores in found] for name in names}
    hits[BOTH] = [float(all(scores.get(name, 0.0) >= 0.5 for name in (LAMP, CONES))) for scores in found]
    hits[ALL] = [float(all(value >= 0.5 for value in scores.values())) for scores in found]
    return hits


def confirmed(
    images: Sequence[ImageArray], asked: Sequence[Mapping[str, str]], scorer: Scorer
) -> dict[str, dict[str, float]]:
    """Return the shares of `verdicts` with their 95% bootstrap intervals: `score`, `low`, `high`, `n`."""
    return {name: _interval(values) for name, values in verdicts(images, asked, scorer).items()}


def _interval(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {"score": 0.0, "low": 0.0, "high": 1.0, "n": 0}
    interval = mean_interval(values, [""] * len(values))
    return {"score": interval.value, "low": interval.low, "high": interval.high, "n": len(values)}
