"""The queue: hardest first, drives together, frames rising, and which answers the number keys stand for."""

from pathlib import Path

import pytest

from drivelet import tasks
from drivelet.core.errors import InputError
from drivelet.core.tables import read_rows, write_table
from drivelet.review.queue import BANDS, Votes, build_queue, check_labels, choices, read_boxes
from review_folders import COUNT, POSTED, STATE, desk, labelled

FIELDS = tasks.fields()


def test_rejected_come_first_then_the_lowest_margins_each_drive_forwards(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "l", drives=2, frames=12)
    rows = read_rows(folder / "labels.lance")
    queue = build_queue(rows, Votes(folder).of, FIELDS)
    assert sorted(item.row for item in queue) == list(range(len(rows)))
    bands = [item.band for item in queue]
    assert bands == sorted(bands) and bands.count(0) == sum(not row["accepted"] for row in rows)
    assert len({*bands}) > 2
    for band in {*bands}:
        run = [(item.drive, item.frame) for item in queue if item.band == band]
        assert run == sorted(run)
    for item in queue:
        assert item.margin == pytest.approx(item.prob - 0.4)
        if item.band:
            assert sum(item.margin >= edge for edge in BANDS) == item.band - 1


def test_only_and_task_choose(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "l")
    rows, votes = read_rows(folder / "labels.lance"), Votes(folder)
    for only, accepted in (("rejected", False), ("accepted", True)):
        queue = build_queue(rows, votes.of, FIELDS, only=only, wanted=[STATE])  # type: ignore[arg-type]
        assert queue and {item.accepted for item in queue} == {accepted} and {item.task for item in queue} == {STATE}


def test_neighbours_are_the_labelled_frames_of_the_drive(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "l", frames=4, step=3)
    queue = build_queue(read_rows(folder / "labels.lance"), Votes(folder).of, FIELDS)
    near = {item.frame: (item.previous, item.following) for item in queue}
    assert near == {0: (None, 3), 3: (0, 6), 6: (3, 9), 9: (6, None)}


def test_votes_and_boxes_are_found_by_frame(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "l")
    assert read_boxes(folder) == {}
    row = {"drive": "d0", "frame": 2, "kind": "lamp", "x0": 1.0, "y0": 2.0, "x1": 3.0, "y1": 4.0, "score": 0.5}
    write_table(folder / "boxes.lance", [row | {"answer": "red"}, row | {"answer": None}])
    assert [box.answer for box in read_boxes(folder)["d0", 2]] == ["red", ""]
    votes = Votes(folder)
    assert [*votes.of(("d0", 0, STATE))] == ["teacher", "colour"]
    assert votes.of(("d0", 1, STATE)) == {}


def test_number_keys_stand_for_the_answers_in_order_and_of_many_for_the_likeliest() -> None:
    assert choices(FIELDS[COUNT], {}, "0") == list(FIELDS[COUNT].answers)
    ballot = {"ocr": {"70": 0.6, "75": 0.3, "none": 0.1}, "teacher": {"120": 0.5, "70": 0.5}}
    listed = choices(FIELDS[POSTED], ballot, "45")
    assert len(listed) == 9 and {"70", "75", "none", "120", "45"} <= {*listed}
    assert listed == sorted(listed, key=FIELDS[POSTED].answers.index)


def test_labels_that_cannot_be_reviewed_are_refused(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "l")
    where, rows = folder / "labels.lance", read_rows(folder / "labels.lance")
    with pytest.raises(InputError, match="no labels to review"):
        check_labels([], FIELDS, where=where)
    with pytest.raises(InputError, match=r"field 'x\.y' is none of"):
        check_labels([rows[0] | {"task": "x.y"}], FIELDS, where=where)
    with pytest.raises(InputError, match="stands for"):
        check_labels([*rows, rows[0] | {"file": "other.mp4"}], FIELDS, where=where)
    (folder / "d0.mp4").unlink()
    with pytest.raises(InputError, match=r"d0\.mp4, which is gone"):
        check_labels(rows, FIELDS, where=where)


@pytest.mark.parametrize("probs", ["", "{", "[]", "null", '{"red": "much"}', '{"red": [1]}', "[" * 5000])
def test_a_damaged_vote_is_named_before_anybody_reviews(tmp_path: Path, probs: str) -> None:
    folder = labelled(tmp_path / "l", frames=2)
    rows = read_rows(folder / "votes.lance")
    write_table(folder / "votes.lance", [*rows[:-1], rows[-1] | {"probs": probs}])
    with pytest.raises(InputError, match=r"votes\.lance: no readable vote on frame 2 of d0"):
        desk(folder)
