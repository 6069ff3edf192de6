from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivelet import tasks
from drivelet.core.errors import InputError
from drivelet.core.manifest import Row
from drivelet.prompts.library import Form, canonical, compose, save_library
from drivelet.prompts.router import (
    PresenceRule,
    RouterConfig,
    SignalRouter,
    calibrate,
    load_router,
    presence,
    routing_report,
    save_router,
)
from drivelet.prompts.signals import SIGNALS

NAME = "traffic_light.state"
FIELDS = tasks.fields()
STATE = {NAME: FIELDS[NAME]}


def frames(lamps: list[tuple[bool, float]], split: str = "train", source: str = "") -> tuple[list[Row], dict]:
    rows = [
        Row(
            path=f"{split}{source}{n}",
            task=NAME,
            label="red" if there else "none",
            split=split,
            group="",
            source=source,
        )
        for n, (there, _) in enumerate(lamps)
    ]
    signals = {
        row.path: dict.fromkeys(SIGNALS, 0.0) | {"lamp": value} for row, (_, value) in zip(rows, lamps, strict=True)
    }
    return rows, signals


lamps = st.lists(st.tuples(st.booleans(), st.floats(0, 10)), min_size=1, max_size=120)


@given(lamps, lamps, st.floats(0.8, 1.0))
@settings(max_examples=80, deadline=None)
def test_no_rule_falls_below_the_recall_on_train_or_val(
    train: list[tuple[bool, float]], val: list[tuple[bool, float]], recall: float
) -> None:
    rows, signals = frames(train)
    more, others = frames(val, "val")
    rows, signals = rows + more, signals | others
    config = RouterConfig(min_recall=recall, min_present=5)
    rules = calibrate(config, rows=rows, signals=signals, fields=STATE)
    router = SignalRouter(canonical(STATE), fields=STATE, rules=rules)
    for split in ("train", "val"):
        mine = [row for row in rows if row.split == split]
        report = routing_report(router, rows=mine, signals=signals, fields=STATE, count_tokens=len)
        line = report[NAME]["router"]
        assert line["recall"] is None or line["recall"] >= recall - 1e-9
        if not rules:
            assert line == report[NAME]["always"]


@given(st.floats(0, 10), st.floats(0, 10), st.floats(0, 1))
def test_a_field_is_left_out_only_below_its_threshold(value: float, threshold: float, previous: float) -> None:
    router = SignalRouter([], fields=STATE, rules={NAME: PresenceRule(signal="lamp", threshold=threshold)})
    prompt = router.route({"lamp": value, f"previous:{NAME}": previous})[NAME]
    assert (prompt is None) == (value < threshold and previous < 0.5)


def test_a_clean_signal_leaves_out_what_the_oracle_leaves_out() -> None:
    rows, signals = frames([(True, 5.0)] * 60 + [(False, 0.1)] * 40)
    rules = calibrate(RouterConfig(), rows=rows, signals=signals, fields=STATE)
    assert rules == {NAME: PresenceRule(signal="lamp", threshold=5.0)}
    router = SignalRouter([], fields=STATE, rules=rules)
    report = routing_report(router, rows=rows, signals=signals, fields=STATE, count_tokens=lambda text: 10)[NAME]
    assert report["router"] == report["oracle"] == {"recall": 1.0, "left_out": pytest.approx(0.4), "tokens": 6.0}
    assert report["always"] == {"recall": 1.0, "left_out": 0.0, "tokens": 10.0}


def test_a_signal_that_a_detector_adds_is_used() -> None:
    rows, signals = frames([(True, 1.0)] * 60 + [(False, 1.0)] * 40)
    more = {row.path: signals[row.path] | {"detector": float(row.label == "red")} for row in rows}
    assert calibrate(RouterConfig(), rows=rows, signals=signals, fields=STATE) == {}
    rules = calibrate(RouterConfig(), rows=rows, signals=more, fields=STATE)
    assert rules == {NAME: PresenceRule(signal="detector", threshold=1.0)}


def test_few_examples_or_one_hard_source_keep_the_field_asked() -> None:
    rows, signals = frames([(True, 5.0)] * 40 + [(False, 0.1)] * 40)
    assert calibrate(RouterConfig(), rows=rows, signals=signals, fields=STATE) == {}
    rows, signals = frames([(True, 5.0)] * 4000 + [(False, 0.1)] * 40)
    hard, others = frames([(True, 0.05)] * 20, source="night")
    assert calibrate(RouterConfig(), rows=rows + hard, signals=signals | others, fields=STATE) == {}


def test_a_missing_signal_leaves_nothing_out() -> None:
    router = SignalRouter([], fields=STATE, rules={NAME: PresenceRule(signal="lamp", threshold=1.0)})
    assert router.route({})[NAME] == canonical(STATE)[0]


def test_active_elements_choose_the_variant() -> None:
    night = compose(Form(question=STATE[NAME].question, element="night"), STATE[NAME])
    router = SignalRouter([*canonical(STATE), night], fields=STATE)
    assert router.route({"brightness": 20.0})[NAME] == night
    assert router.route({"brightness": 120.0})[NAME] == canonical(STATE)[0]


@pytest.mark.parametrize(
    ("name", "label", "there"),
    [
        ("cone.count", "0", False),
        ("cone.count", "some", True),
        ("cone.in_path", "no", False),
        (NAME, "none", False),
        (NAME, "off", True),
        (NAME, "unknown", None),
        ("speed_limit.posted", "50 km/h", True),
    ],
)
def test_presence(name: str, label: str, there: bool | None) -> None:
    assert presence(Row(path="", task=name, label=label, split="train", group=""), FIELDS[name]) is there


def test_a_router_read_back_routes_alike(tmp_path: Path) -> None:
    night = compose(Form(question=STATE[NAME].question, element="night"), STATE[NAME])
    router = SignalRouter(
        [*canonical(STATE), night], fields=STATE, rules={NAME: PresenceRule(signal="lamp", threshold=1.5)}
    )
    save_library(tmp_path, [*canonical(STATE), night])
    save_router(tmp_path, router)
    again = load_router(tmp_path, STATE)
    for signals in ({"lamp": 1.0}, {"lamp": 2.0, "brightness": 10.0}, {"lamp": 2.0, "brightness": 100.0}):
        assert again.route(signals) == router.route(signals)
    (tmp_path / "router.json").write_text('{"rules": []}')
    with pytest.raises(InputError, match=r"router\.json"):
        load_router(tmp_path, STATE)
