import json
from pathlib import Path

import numpy as np

from drivelet import tasks
from drivelet.core.artifacts import Vote
from drivelet.recipes.studies.temporal import imu_gain
from drivelet.recipes.studies.temporal_methods import LAMP, LabelledDrive, methods, oracles, tracks, true_states

SPEC = tasks.fields()[LAMP]
STATES = ["red"] * 40 + ["green"] * 25 + ["none"] * 15


def drive(name, seed, *, wrong=0.15):
    """A car that waits at red behind trucks, whose labeler is wrong now and then."""
    rng = np.random.default_rng(seed)
    hidden = set(range(22, 36))
    shown = ["none" if i in hidden else state for i, state in enumerate(STATES)]
    standing = [10 <= i < 41 for i in range(80)]
    frames = [
        {"drive": name, "frame": i, "t": i / 5, "standing": stands, "speed_mps": 0.0 if stands else 9.0}
        for i, stands in enumerate(standing)
    ]
    votes = []
    for i, state in enumerate(shown):
        said = str(rng.choice(["red", "green", "off", "none"])) if rng.random() < wrong else state
        probs = {choice: 0.9 if choice == said else 0.02 for choice in SPEC.choices}
        votes.append(Vote(drive=name, frame=i, field=LAMP, labeler="teacher", family="vlm", probs=probs))
    return LabelledDrive(name=name, frames=frames, votes=votes, state=STATES, shown=shown, standing=standing)


DRIVES = [drive(f"d{i}", i) for i in range(8)]


def wrong(method):
    found = tracks(method, DRIVES, SPEC)
    return np.mean([a != g for track in found for a, g in zip(track.answers, track.gold, strict=True)])


def test_every_step_of_the_method_takes_error_away():
    by_name = {method.name: wrong(method) for method in methods("teacher")}
    assert by_name["HMM"] < by_name["window 1.5 s"] < by_name["single frame"]
    assert by_name["HMM + IMU"] < by_name["single frame"] / 5


def test_the_imu_helps_where_the_light_is_hidden_from_a_standing_car():
    by_name = {method.name: tracks(method, DRIVES, SPEC) for method in methods("teacher")}
    gain = imu_gain(by_name["single frame"], by_name["HMM + IMU"], DRIVES, resamples=50)
    assert gain.value > 0.8
    assert gain.low <= gain.value <= gain.high


def test_a_true_labeler_leaves_no_more_error_than_the_method():
    by_name = {method.name: wrong(method) for method in oracles()}
    assert by_name["true labeler"] <= by_name["full method"]
    assert by_name["all true"] <= 0.05


def test_a_drive_is_never_calibrated_on_itself():
    liar = drive("liar", 99, wrong=1.0)
    honest = [drive(f"h{i}", i, wrong=0.0) for i in range(3)]
    method = next(method for method in methods("teacher") if method.name == "vote")
    found = tracks(method, [liar, *honest], SPEC)
    assert all(a == s for a, s in zip(found[2].answers, honest[1].shown, strict=True))
    assert np.mean([a == s for a, s in zip(found[0].answers, liar.shown, strict=True)]) < 0.6


def test_a_light_has_a_true_state_from_the_first_sight_to_the_last(tmp_path: Path):
    shown = ["none", "red", "none", "off", "green", "none"]
    scenes = [
        {
            "facts": {"governing_lamp": lamp},
            "setting": {"lamp_state": "red" if i < 4 else "green", "speed_mps": 5.0 * i},
        }
        for i, lamp in enumerate(shown)
    ]
    (tmp_path / "scenes.jsonl").write_text("".join(json.dumps(scene) + "\n" for scene in scenes))
    state, seen, standing = true_states(tmp_path, range(6))
    assert state == ["none", "red", "red", "red", "green", "none"]
    assert seen == shown
    assert standing == [True] + [False] * 5
