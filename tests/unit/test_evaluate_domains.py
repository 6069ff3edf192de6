"""The accuracy gap between two tests, and when it is an alarm."""

import pytest

from drivelet import tasks
from drivelet.core.errors import InputError
from drivelet.core.manifest import Row
from drivelet.evaluate.domains import AlarmConfig, Answered, accuracy_gap, domain_alarm

TASKS = tasks.load()
GAP = {"auc": 0.97, "features": [{"feature": n, "difference": d} for n, d in (("noise", -2.1), ("contrast", 0.4))]}


def answered(name: str, accuracy: float, *, count: int = 300, task: str = "traffic_light.state") -> Answered:
    rows, predictions = [], []
    for n in range(count):
        label = ("red", "green")[n % 2]
        said = label if n * 37 % 100 < 100 * accuracy else {"red": "green", "green": "red"}[label]
        rows.append(Row(path=f"/{name}/{n}.png", task=task, label=label, split="test", group=f"{name}{n // 3}"))
        predictions.append({"image": f"/{name}/{n}.png", "frame": None, "task": task, "answer": said})
    return Answered(predictions=predictions, rows=rows)


def alarm(real: float, synthetic: float) -> dict | None:
    tests = {"real": answered("real", real), "synthetic": answered("rendered", synthetic)}
    found = accuracy_gap(**tests, tasks=TASKS, resamples=200)
    return domain_alarm(AlarmConfig(), model="awq", accuracy=found, gap=GAP, features=1)


def test_good_on_synthetic_and_bad_on_real_is_raised_by_name_with_the_features() -> None:
    raised = alarm(0.55, 0.95)
    assert raised is not None
    assert raised["name"] == "domain_gap"
    assert raised["message"].startswith("Alarm domain_gap: awq is good on synthetic images (0.9")
    assert raised["message"].endswith("noise (-2.1 sd).")
    assert [each["feature"] for each in raised["features"]] == ["noise"]


@pytest.mark.parametrize(("real", "synthetic"), [(0.93, 0.95), (0.3, 0.5), (0.95, 0.55), (0.84, 0.95)])
def test_alike_scores_a_model_bad_on_both_or_a_gap_within_the_margin_raise_nothing(
    real: float, synthetic: float
) -> None:
    assert alarm(real, synthetic) is None


def test_only_fields_that_both_tests_ask_are_compared() -> None:
    synthetic, more = answered("rendered", 0.9), answered("cones", 0.9, task="cone.count")
    cones = [Row(**{**vars(row), "label": "0"}) for row in more.rows]
    both = Answered(predictions=[*synthetic.predictions, *more.predictions], rows=[*synthetic.rows, *cones])
    found = accuracy_gap(real=answered("real", 0.9), synthetic=both, tasks=TASKS, resamples=50)
    assert found["fields"] == ["traffic_light.state"] and list(found["tasks"]) == ["traffic_light"]
    assert found["average"]["gap"]["low"] < 0 < found["average"]["gap"]["high"]
    with pytest.raises(InputError):
        accuracy_gap(real=answered("real", 0.9), synthetic=Answered(predictions=[], rows=cones), tasks=TASKS)
