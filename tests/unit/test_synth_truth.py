"""Events of a drive and its table of ground truth."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivelet.synth.driving.ego import Ahead, drive_motion
from drivelet.synth.driving.truth import BRAKING_MPS2, HEADER, intersection_events, write_truth


def record(t: float, room: float | None, speed: float, alert: str, **setting: Any) -> dict[str, Any]:
    junction = None if room is None else {"stop_y": room, "end_y": room + 12, "stop_sign": False}
    return {
        "frame": round(10 * t), "t": t,
        "facts": {"intersection": alert, "governing_lamp": "none", "closed_lanes": []},
        "setting": {"junction": junction, "speed_mps": speed, "lamp_state": "none", "ego_x": 1.7, **setting},
    }  # fmt: skip


def approach(*, seen_at: float, lamp: str = "none", speed: float = 10.0) -> list[dict[str, Any]]:
    """A car that goes on with constant speed; the line lies 60 m ahead at first."""
    rooms = [60.0 - speed * k / 10 for k in range(65)]
    return [
        record(k / 10, room, speed, "ahead" if 0 < room <= seen_at else "none", lamp_state=lamp)
        for k, room in enumerate(rooms)
    ]


def test_an_event_opens_when_the_junction_is_seen_and_closes_at_the_braking_distance() -> None:
    (event,) = intersection_events(approach(seen_at=45.0, lamp="red"))
    assert event == {"kind": "intersection", "onset_s": 1.5, "decision_s": event["decision_s"], "stop_required": True}
    room = 60.0 - 10.0 * event["decision_s"]
    assert room <= 10.0**2 / (2 * BRAKING_MPS2) < room + 1.0


@pytest.mark.parametrize(("lamp", "stop"), [("green", False), ("yellow", True), ("none", False)])
def test_whether_a_stop_is_required_is_the_lights_state_at_the_decision(lamp: str, stop: bool) -> None:
    records = approach(seen_at=45.0, lamp="red")
    for later in records[20:]:
        later["setting"]["lamp_state"] = lamp
    assert intersection_events(records)[0]["stop_required"] is stop


def test_a_stop_sign_requires_a_stop() -> None:
    records = approach(seen_at=45.0)
    for each in records:
        each["setting"]["junction"]["stop_sign"] = True
    assert intersection_events(records)[0]["stop_required"] is True


def test_a_car_that_stands_before_the_line_has_decided() -> None:
    moving = [record(k / 10, 20.0 - k, 4.0, "ahead") for k in range(16)]
    standing = [record(1.6 + k / 10, 4.0, 0.0, "ahead") for k in range(30)]
    assert intersection_events([*moving, *standing])[0]["decision_s"] == 1.6


def test_a_drive_that_ends_before_the_decision_says_so() -> None:
    (event,) = intersection_events(approach(seen_at=55.0)[:12])
    assert event["decision_s"] is None


def test_what_is_seen_too_late_or_never_is_no_event() -> None:
    assert intersection_events(approach(seen_at=10.0)) == []
    assert intersection_events(approach(seen_at=0.0)) == []
    assert intersection_events([record(0.0, None, 10.0, "none")]) == []


def test_the_table_has_a_row_a_frame_with_the_true_motion(tmp_path: Path) -> None:
    motion = drive_motion(np.random.default_rng(1), Ahead(), seconds=7.0)
    records = approach(seen_at=45.0)
    for each in records:
        k = round(each["t"] * 100)
        each["setting"]["speed_mps"] = float(motion.speed[k])
    events = intersection_events(records)
    write_truth(tmp_path / "truth.csv", records, motion, events)
    with (tmp_path / "truth.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == HEADER
    assert [int(row["frame"]) for row in rows] == list(range(65))
    assert float(rows[10]["y_m"]) == pytest.approx(motion.y[100], abs=1e-3)
    rate = np.array([float(row["yaw_rate_radps"]) for row in rows])
    assert np.allclose(rate, np.gradient(motion.yaw, 0.01)[::10][:65], atol=1e-4)
    inside = [float(row["t_s"]) for row in rows if row["event"] == "intersection"]
    assert (inside[0], inside[-1]) == (events[0]["onset_s"], events[0]["decision_s"])
