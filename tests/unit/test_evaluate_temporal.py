import numpy as np
import pytest

from drivelet.evaluate.temporal import (
    Track,
    edge_delays,
    excess_flips,
    illegal_changes,
    measures,
    recall,
    short_segments,
)


def track(gold, answers, *, hz=5.0, counted=None, probs=None):
    return Track(
        times=[i / hz for i in range(len(gold))],
        gold=gold,
        answers=answers,
        probs=probs or [0.9] * len(gold),
        counted=counted or [True] * len(gold),
    )


GOLD = ["red"] * 20 + ["green"] * 20 + ["yellow"] * 10 + ["red"] * 10


def test_a_perfect_track_has_nothing_wrong():
    found = measures([track(GOLD, GOLD, probs=[1.0] * 60)])
    assert {name: value.value for name, value in found.items()} == {
        "error": 0, "excess_flips_pm": 0, "illegal_pm": 0, "edge_delay_ms": 0, "yellow_recall": 1, "short_recall": 1,
        "ece": 0,
    }  # fmt: skip


def test_a_flip_and_its_return_are_two_excess_flips():
    answers = [*GOLD]
    answers[10] = "green"
    assert excess_flips(track(GOLD, answers)) == 2
    assert illegal_changes(track(GOLD, answers)) == 1
    assert measures([track(GOLD, answers)])["excess_flips_pm"].value == pytest.approx(2 / (60 / 5 / 60))


def test_a_late_change_is_a_delay_and_no_flip():
    answers = ["red"] * 23 + ["green"] * 17 + GOLD[40:]
    late = track(GOLD, answers)
    assert excess_flips(late) == 0
    assert edge_delays(late)[0] == pytest.approx(0.6)
    assert measures([late])["edge_delay_ms"].value == pytest.approx(200)


def test_a_change_far_from_the_true_one_is_a_flip():
    answers = ["red"] * 30 + ["green"] * 10 + GOLD[40:]
    assert excess_flips(track(GOLD, answers)) == 1


def test_a_missed_yellow_shows_in_recall_only():
    answers = [*GOLD[:40], *["red"] * 20]
    missed = track(GOLD, answers)
    assert recall(missed, "yellow") == (0, 10)
    assert short_segments(missed) == (1, 2)
    assert excess_flips(missed) == 1
    assert illegal_changes(missed) == 1


def test_frames_that_do_not_count_break_no_segment():
    counted = [True] * 60
    counted[5] = counted[6] = False
    answers = [*GOLD]
    answers[5], answers[6] = "green", "none"
    found = measures([track(GOLD, answers, counted=counted)])
    assert found["error"].value == 0
    assert found["excess_flips_pm"].value == 0


def test_intervals_resample_drives():
    good, bad = track(GOLD, GOLD), track(GOLD, ["none"] * 60)
    same = measures([good] * 5)["error"]
    mixed = measures([good, bad] * 5)["error"]
    assert (same.low, same.high) == (0, 0)
    assert mixed.low < mixed.value == 0.5 < mixed.high


def test_calibration_error_of_a_boastful_track():
    answers = [*GOLD]
    for i in range(0, 60, 2):
        answers[i] = "off"
    assert measures([track(GOLD, answers, probs=[0.95] * 60)])["ece"].value == pytest.approx(0.45)


def test_a_track_without_yellow_has_no_recall():
    assert np.isnan(measures([track(["red"] * 10, ["red"] * 10)])["yellow_recall"].value)
