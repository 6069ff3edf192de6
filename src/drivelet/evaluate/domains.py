"""One model on two tests, real and synthetic: the accuracy gap, and the alarm where it is the domain's."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from drivelet.core.artifacts import Task
from drivelet.core.manifest import Row
from drivelet.core.ranges import Share, ranged
from drivelet.core.stats import percentile_interval
from drivelet.evaluate.predictions import Prediction, labelled, match
from drivelet.evaluate.scores import Sampled, sample_scores

DOMAIN_GAP = "domain_gap"


@dataclass(frozen=True, kw_only=True)
@ranged
class AlarmConfig:
    """When a gap is an alarm: `good` on the synthetic test at least, and worse on the real one by more than `margin`.

    The margin must lie below the interval of the gap.
    """

    good: Share = 0.7
    margin: Share = 0.1


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A model's predictions on a test."""

    predictions: Sequence[Prediction]
    rows: Sequence[Row]


def accuracy_gap(
    *, real: Answered, synthetic: Answered, tasks: Mapping[str, Task], resamples: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Return the scores on both tests and synthetic minus real, over the fields that both tests ask.

    Returns:
        `fields`; for `average` and each of `tasks`: `real`, `synthetic` and `gap` as {value, low, high}, 95%
        intervals clustered by group, the two tests resampled apart.

    Raises:
        InputError: a row without a prediction, or tests with no field in common.
    """
    common = {row.task for row in labelled(real.rows)} & {row.task for row in labelled(synthetic.rows)}
    on_real, on_synthetic = (
        _scores(tested, common, tasks, resamples, seed + number) for number, tested in enumerate((real, synthetic))
    )
    by_task = {name: _gap(on_real.tasks[name], on_synthetic.tasks[name]) for name in on_real.tasks}
    return {
        "fields": list(on_real.fields),
        "average": _gap(on_real.average, on_synthetic.average),
        "tasks": by_task,
    }


def _scores(tested: Answered, common: set[str], tasks: Mapping[str, Task], resamples: int, seed: int) -> Any:
    rows = [row for row in labelled(tested.rows) if row.task in common]
    answers = [str(prediction["answer"]) for prediction in match(tested.predictions, labelled(rows))]
    return sample_scores(answers, rows, tasks, resamples=resamples, seed=seed)


def _gap(real: Sampled, synthetic: Sampled) -> dict[str, dict[str, float]]:
    gap = Sampled(value=synthetic.value - real.value, samples_R=synthetic.samples_R - real.samples_R)
    named = {"real": real, "synthetic": synthetic, "gap": gap}
    return {name: asdict(percentile_interval(each.value, each.samples_R)) for name, each in named.items()}


def domain_alarm(
    config: AlarmConfig, *, model: str, accuracy: Mapping[str, Any], gap: Mapping[str, Any], features: int = 5
) -> dict[str, Any] | None:
    """Return the alarm "synthetic good and real bad", or None.

    Args:
        config: the thresholds.
        model: its name in the table.
        accuracy: of `accuracy_gap`.
        gap: what separates the two domains: `auc`, and `features` with `feature` and `difference`, ranked.
        features: how many of them the alarm names.
    """
    average = accuracy["average"]
    if average["synthetic"]["value"] < config.good or not average["gap"]["low"] > config.margin:
        return None
    leading = list(gap["features"])[:features]
    named = ", ".join(f"{each['feature']} ({each['difference']:+.1f} sd)" for each in leading)
    apart = average["gap"]
    return {
        "name": DOMAIN_GAP,
        "message": f"Alarm domain_gap: {model} is good on synthetic images ({average['synthetic']['value']:.3f}) and "
        f"bad on real ones ({average['real']['value']:.3f}): {apart['value']:.3f} "
        f"[{apart['low']:.3f}, {apart['high']:.3f}] between them. A classifier tells the two apart with an AUC of "
        f"{gap['auc']:.2f}; what separates them most, synthetic against real: {named}.",
        "model": model,
        "accuracy": dict(accuracy),
        "auc": gap["auc"],
        "features": leading,
    }
