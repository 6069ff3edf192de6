"""The four tasks: their order, wordings, label parsing and gold answers."""

import math
from pathlib import Path

import pytest

from drivelet import tasks
from drivelet.core.artifacts import UNKNOWN
from drivelet.tasks import speed_limit

FIELDS = tasks.fields()
FACTS = {
    "governing_lamp": "red",
    "cone_count_visible": 7,
    "cones_in_path": False,
    "posted": 100,
    "unit": "km/h",
    "region_default": 50,
    "visibility_m": 1000.0,
    "rain": False,
    "light": "day",
    "fog": False,
    "intersection": "ahead",
}


def test_order():
    assert list(tasks.load()) == ["traffic_light", "cone", "speed_limit", "intersection"]
    assert list(FIELDS) == [
        "traffic_light.state",
        "cone.count",
        "cone.in_path",
        "speed_limit.posted",
        "speed_limit.recommended",
        "intersection.alert",
    ]


def test_a_fifth_task_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "animal.py").write_text(
        "from drivelet.core.artifacts import Task\nTASK = Task(name='animal', title='Animals', fields=())\n"
    )
    monkeypatch.setattr(tasks, "__path__", [*tasks.__path__, str(tmp_path)])
    assert list(tasks.load())[-1] == "animal"


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_wordings(field):
    assert field.wordings[0] == field.question
    assert len(field.question.split()) <= 17
    assert len(set(field.wordings)) >= 8
    assert len(set(field.held_out_wordings)) == 3
    assert not set(field.wordings) & set(field.held_out_wordings)
    assert field.hints
    assert field.absent in field.answers
    assert (field.positive in field.answers) == (field.metric == "f1")


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_every_answer_parses_to_itself(field):
    for answer in field.choices:
        assert field.parse(answer) == {answer}
    for label in ("", " ", "blue", "-5", "5.5", "some more", "²", "١"):
        assert field.parse(label) == frozenset(), label


@pytest.mark.parametrize(
    ("name", "label", "answers"),
    [
        ("cone.count", "some", {"1-2", "3-5", "6-10", ">10"}),
        ("cone.count", "0", {"0"}),
        ("cone.count", "1", {"1-2"}),
        ("cone.count", "3", {"3-5"}),
        ("cone.count", "7", {"6-10"}),
        ("cone.count", "10", {"6-10"}),
        ("cone.count", "11", {">10"}),
        ("speed_limit.posted", "25 mph", {"25"}),
        ("speed_limit.posted", "50 km/h", {"50"}),
        ("speed_limit.posted", "None", {"none"}),
        ("speed_limit.posted", "47 mph", set()),
        ("speed_limit.posted", "145", set()),
        ("speed_limit.posted", "0", set()),
        ("intersection.alert", "some", {"ahead", "stop_required"}),
        ("traffic_light.state", "some", set()),
        ("cone.in_path", " Yes ", {"yes"}),
    ],
)
def test_coarse_labels(name, label, answers):
    assert FIELDS[name].parse(label) == answers


def test_gold():
    assert tasks.gold({"facts": FACTS}) == {
        "traffic_light.state": "red",
        "cone.count": "6-10",
        "cone.in_path": "no",
        "speed_limit.posted": "100",
        "speed_limit.recommended": "100",
        "intersection.alert": "ahead",
    }
    assert FIELDS["traffic_light.state"].gold({"facts": FACTS | {"governing_lamp": UNKNOWN}}) == UNKNOWN
    with pytest.raises(ValueError, match="governing_lamp"):
        tasks.gold({"facts": FACTS | {"governing_lamp": "blue"}})
    with pytest.raises(ValueError, match="posted"):
        tasks.gold({"facts": FACTS | {"posted": 33}})


@pytest.mark.parametrize(
    ("change", "speed"),
    [
        ({"posted": None}, 50),
        ({"posted": None, "region_default": 48}, 45),
        ({"cones_in_path": True}, 40),
        ({"cones_in_path": True, "unit": "mph"}, 25),
        ({"cones_in_path": True, "posted": 30}, 30),
        ({"rain": True}, 80),
        ({"rain": True, "unit": "mph"}, 50),
        ({"light": "night", "posted": 130}, 100),
        ({"light": "dusk", "posted": 130}, 130),
        ({"visibility_m": 30.0, "fog": True}, 50),
        ({"visibility_m": 99.0}, 60),
        ({"visibility_m": 150.0, "posted": 130}, 80),
    ],
)
def test_recommended_speed(change, speed):
    assert speed_limit.recommended(FACTS | change) == speed


def test_recommended_speed_needs_a_known_unit():
    with pytest.raises(ValueError, match="unit"):
        speed_limit.recommended(FACTS | {"unit": "knots"})


def test_caps_table_has_a_version():
    assert {row["version"] for row in speed_limit.caps_table()} == {speed_limit.CAPS_VERSION}


def test_measures():
    measures = {name: f for task in tasks.load().values() for name, f in task.measures.items()}
    assert all(name.rpartition(".")[0] in FIELDS for name in measures)
    assert measures["traffic_light.state.red_to_green"](["red", "red", "green"], ["green", "red", "green"]) == 0.5
    assert measures["cone.count.presence_f1"](["some", "0", "7"], ["1-2", "3-5", "0"]) == 0.5
    assert measures["cone.count.false_alarm_rate"](["some", "0", "0"], ["1-2", "3-5", "0"]) == 0.5
    assert measures["speed_limit.posted.within_one_step"](["50 km/h", "50", "none"], ["55", "none", "5"]) == 0.5
    assert measures["speed_limit.recommended.unsafe_over_rate"](["50", "50"], ["60", "40"]) == 0.5
    assert measures["speed_limit.recommended.over_caution_rate"](["50", "50"], ["unknown", "40"]) == 0.5
    assert measures["intersection.alert.missed_alert_rate"](["some", "ahead"], ["none", "stop_required"]) == 0.5
    assert measures["intersection.alert.false_alert_rate"](["none", "none"], ["none", "ahead"]) == 0.5
    assert all(math.isnan(measure([], [])) for measure in measures.values())
