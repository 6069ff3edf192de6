import numpy as np
import pytest

from drivelet import tasks
from drivelet.labels.hmm import Ride
from drivelet.labels.phases import junctions_passed
from drivelet.labels.smooth import SmoothConfig, smooth_field

FIELDS = tasks.fields()
LAMP = FIELDS["traffic_light.state"]
POSTED = FIELDS["speed_limit.posted"]
COUNT = FIELDS["cone.count"]


def sure(spec, answers, p=0.9):
    """Return a distribution a frame, `p` on the answer; None where there is no vote."""
    rest = (1 - p) / (len(spec.choices) - 1)
    return np.stack(
        [
            np.full(len(spec.choices), np.nan)
            if answer is None
            else np.where(np.array(spec.choices) == answer, p, rest)
            for answer in answers
        ]
    )


def run(spec, answers, *, standing=None, hz=5.0, p=0.9, passed=(), **settings):
    times = [i / hz for i in range(len(answers))]
    known = [standing] * len(answers) if not isinstance(standing, list) else standing
    ride = Ride(times=times, standing=known, passed=passed)
    track = smooth_field(SmoothConfig(**settings), spec, sure(spec, answers, p), ride)
    names = [[spec.choices[i] for i in part.argmax(axis=1)] for part in (track.shown_FC, track.meant_FC)]
    return *names, track


def test_a_light_behind_a_truck_keeps_its_state_while_the_car_stands():
    answers = ["red"] * 25 + ["none"] * 15 + ["red"] * 5
    shown, meant, track = run(LAMP, answers, standing=True)
    assert shown == answers
    assert meant == ["red"] * 45
    assert track.hidden_F[30] > 0.95
    assert track.hidden_F[10] < 0.05


def test_a_light_that_is_passed_is_gone():
    answers = ["green"] * 25 + ["none"] * 40
    _, meant, track = run(LAMP, answers, standing=False)
    assert meant[-1] == "none"
    assert track.hidden_F[-1] < 0.1


def test_the_standing_car_is_what_tells_the_two_apart():
    answers = ["red"] * 25 + ["none"] * 20
    standing, driving = (run(LAMP, answers, standing=value)[1] for value in (True, False))
    assert standing[-1] == "red"
    assert driving[-1] == "none"
    assert run(LAMP, answers, standing=True, motion=False)[1] == driving


def test_setting_off_says_that_a_hidden_light_turned():
    answers = ["red"] * 25 + ["none"] * 20
    leaves = [True] * 40 + [False] * 5
    _, meant, _ = run(LAMP, answers, standing=leaves)
    assert meant[30] == "red"
    assert meant[40] in ("green", "none")


@pytest.mark.parametrize("wrong", ["green", "yellow", "off", "none"])
def test_a_single_flip_is_no_change(wrong):
    answers = ["red"] * 20 + [wrong] + ["red"] * 20
    shown, _, _ = run(LAMP, answers, standing=False, p=0.8)
    assert shown == ["red"] * 41


def test_a_short_yellow_is_kept():
    answers = ["green"] * 20 + ["yellow"] * 12 + ["red"] * 20
    shown, meant, _ = run(LAMP, answers, standing=False)
    assert shown == meant == answers


def test_red_straight_after_green_is_not_believed_for_long():
    answers = ["red"] * 20 + ["yellow"] * 2 + ["green"] * 20
    shown, _, _ = run(LAMP, answers, standing=True, p=0.75)
    assert "yellow" not in shown


def test_a_limit_stays_in_force_after_its_sign_is_passed():
    answers = ["none"] * 10 + ["50"] * 10 + ["none"] * 25 + ["30"] * 10 + ["none"] * 10
    shown, meant, _ = run(POSTED, answers, standing=False)
    assert shown == answers
    assert meant[:8] == ["none"] * 8
    assert meant[21:44] == ["50"] * 23
    assert meant[-10:] == ["30"] * 10


def test_a_limit_ends_where_the_car_passes_a_junction():
    answers = ["none"] * 10 + ["50"] * 10 + ["none"] * 40
    passed = [i == 40 for i in range(60)]
    shown, meant, _ = run(POSTED, answers, standing=False, passed=passed)
    assert shown == answers
    assert meant[21:40] == ["50"] * 19
    assert meant[40:] == ["none"] * 20


def test_a_sign_in_sight_outlasts_the_junction():
    answers = ["none"] * 10 + ["50"] * 20 + ["none"] * 10
    _, meant, _ = run(POSTED, answers, standing=False, passed=[i == 20 for i in range(40)])
    assert meant[15:38] == ["50"] * 23


def test_a_junction_is_passed_where_its_alert_ends_on_the_move():
    alerts = ["none", "ahead", "ahead", "none", "stop_required", "stop_required", "none", "unknown", "none"]
    standing = [False, False, False, False, False, True, True, False, False]
    assert [i for i, passed in enumerate(junctions_passed(alerts, standing)) if passed] == [3]


def test_cones_do_not_come_and_go_while_the_car_stands():
    answers = ["3-5"] * 20 + ["6-10"] * 6 + ["3-5"] * 20
    standing, _, _ = run(COUNT, answers, standing=True, p=0.6)
    driving, _, _ = run(COUNT, answers, standing=False, p=0.6)
    assert standing == ["3-5"] * 46
    assert driving.count("6-10") == 6


def test_the_filter_knows_no_future():
    answers = ["red"] * 20 + ["green"] * 20
    early = run(LAMP, answers, standing=False, online=True)[2].shown_FC[:20]
    alone = run(LAMP, answers[:20], standing=False, online=True)[2].shown_FC
    assert np.allclose(early, alone)
    offline, online = (run(LAMP, answers, standing=False, online=value)[0] for value in (False, True))
    assert offline.index("green") <= online.index("green")


def test_missing_frames_are_bridged():
    answers = ["red"] * 10 + [None] * 5 + ["red"] * 10
    shown, _, track = run(LAMP, answers, standing=False)
    assert shown == ["red"] * 25
    assert not np.isnan(track.shown_FC).any()
