"""Decisions: the journal, the table that follows from it, and what a crash leaves."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from cli_calls import refused
from drivelet.core.artifacts import PseudoLabel
from drivelet.core.errors import InputError
from drivelet.core.tables import read_rows, read_table, write_table
from drivelet.labels.ledger import summarise
from drivelet.review.decisions import (
    BASE,
    JOURNAL,
    apply_journal,
    locked,
    machine_table,
    read_journal,
    refuse_beside_reviewer,
)
from review_folders import COUNT, STATE, desk, labelled, lines, write_lines


def test_every_verdict_reaches_the_table_with_who_and_when(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "l")
    before = {(row["frame"], row["task"]): row for row in read_rows(folder / "labels.lance")}
    work = desk(folder)
    wanted = [("accepted", ""), ("rejected", ""), ("fixed", ""), ("fixed", "unknown")]
    for number, (review, answer) in enumerate(wanted):
        item = work.queue[number]
        other = next(a for a in work.fields[item.task].answers if a != item.answer)
        work.decide(number, review, answer or other)
    decided = [work.queue[number] for number in range(4)]
    work.close()
    rows = {(row["frame"], row["task"]): row for row in read_rows(folder / "labels.lance")}
    assert lines(folder / "labels.jsonl") == [*rows.values()]
    assert list(rows[decided[0].frame, decided[0].task])[: len(BASE)] == list(BASE)
    found = [rows[item.frame, item.task] for item in decided]
    assert [row["review"] for row in found] == ["accepted", "rejected", "fixed", "fixed"]
    assert [row["accepted"] for row in found] == [True, False, True, False]
    assert [row["reason"] for row in found] == ["", "rejected_by_reviewer", "", "rejected_by_reviewer"]
    assert [row["answer"] == row["machine_answer"] for row in found] == [True, True, False, False]
    assert found[3]["answer"] == "unknown"
    assert {row["reviewed_by"] for row in found} == {"ada"}
    assert all(row["reviewed_at"].endswith("Z") and row["reviewed_at"][10] == "T" for row in found)
    for key, row in rows.items():
        kept = (row["machine_answer"], row["machine_accepted"], row["machine_reason"])
        assert kept == tuple(before[key][name] for name in ("answer", "accepted", "reason"))
        if not row["review"]:
            assert {name: row[name] for name in BASE} == before[key]
            assert (row["reviewed_by"], row["reviewed_at"]) == ("", "")
    fresh = summarise(PseudoLabel(**{name: row[name] for name in BASE}) for row in rows.values())
    assert json.loads((folder / "summary.json").read_text())["fields"] == fresh


def test_undoing_everything_restores_the_files(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "l")
    table, text = read_table(folder / "labels.lance"), (folder / "labels.jsonl").read_bytes()
    summary = (folder / "summary.json").read_bytes()
    work = desk(folder)
    for number in range(5):
        work.decide(number, "rejected", "")
    work.decide(0, "skipped", "")
    work.save()
    assert (folder / "labels.jsonl").read_bytes() != text
    for _ in range(6):
        assert work.undo()
    assert work.undo() is None
    work.close()
    assert read_table(folder / "labels.lance").equals(table)
    assert (folder / "labels.jsonl").read_bytes() == text
    assert (folder / "summary.json").read_bytes() == summary
    assert len(lines(folder / JOURNAL)) == 12


def test_undo_lets_the_decision_before_stand_again(tmp_path: Path) -> None:
    work = desk(labelled(tmp_path / "l"))
    work.decide(0, "rejected", "")
    work.decide(0, "accepted", "")
    assert work.counts() == {"accepted": 1, "fixed": 0, "rejected": 0}
    work.undo()
    assert work.counts() == {"accepted": 0, "fixed": 0, "rejected": 1}
    work.close()


def test_a_killed_reviewer_s_work_is_there_on_the_next_start(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "l")
    work = desk(folder)
    for number in range(3):
        work.decide(number, "rejected", "")
    assert "review" not in read_table(folder / "labels.lance").column_names
    again = desk(folder, "bob")
    assert again.resume() == 3
    assert sum(row["review"] == "rejected" for row in read_rows(folder / "labels.lance")) == 3
    assert {row["reviewed_by"] for row in read_rows(folder / "labels.lance")} == {"ada", ""}
    work.close()
    again.close()


def test_a_line_cut_short_by_a_crash_is_dropped_and_a_damaged_one_refused(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "l")
    work = desk(folder)
    work.decide(0, "accepted", "")
    work.close()
    whole = (folder / JOURNAL).read_bytes()
    (folder / JOURNAL).write_bytes(whole + whole[:40])
    assert len(read_journal(folder / JOURNAL)) == 1
    assert (folder / JOURNAL).read_bytes() == whole
    (folder / JOURNAL).write_bytes(b"{broken\n" + whole)
    with pytest.raises(InputError, match=r"reviews\.jsonl line 1: no record"):
        desk(folder)
    (folder / JOURNAL).write_bytes(whole.replace(b'"accepted"', b'"praised"'))
    with pytest.raises(InputError, match="review 'praised' is none of"):
        desk(folder)


def record(**changes: Any) -> dict[str, Any]:
    whole = {"review": "accepted", "drive": "d0", "frame": 0, "task": STATE, "answer": "red", "by": "a", "at": "now"}
    return whole | changes


@pytest.mark.parametrize(
    "line",
    [
        json.dumps(record(frame="0")),
        json.dumps(record(frame=[])),
        json.dumps(record(frame=True)),
        json.dumps(record(drive=None)),
        json.dumps(record(more=1)),
        "[" * 100_000,
        "null",
        "",
        json.dumps(record(by="x" * (2 << 20))),
    ],
)
def test_a_line_that_is_no_record_is_named_and_nothing_is_cut_off(tmp_path: Path, line: str) -> None:
    path = tmp_path / JOURNAL
    content = f"{json.dumps(record())}\n{line}\n{json.dumps(record())}\n"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match="line 2: no record of a review") as caught:
        read_journal(path)
    assert len(str(caught.value)) < 400
    assert path.read_text(encoding="utf-8") == content


def test_an_end_that_no_crash_left_is_kept(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "l")
    path = folder / JOURNAL
    path.write_text(json.dumps(record(review="rejected")))
    assert len(read_journal(path)) == 1
    work = desk(folder)
    work.decide(3, "rejected", "")
    work.close()
    assert len(lines(path)) == 2
    for damage in (b"something else", b"\x89PNG"):
        path.write_bytes(damage)
        with pytest.raises(InputError, match="line 1"):
            read_journal(path)
        assert path.read_bytes() == damage
    path.write_bytes(b"\0" * 99)
    assert read_journal(path) == [] and path.read_bytes() == b""
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match="no file"):
        desk(folder)


def test_a_full_disk_loses_no_earlier_decision_and_keeps_no_half_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = labelled(tmp_path / "l")
    work = desk(folder)
    work.decide(0, "accepted", "")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="full"):
        patch.setattr(os, "fsync", full)
        work.decide(1, "accepted", "")
    assert (len(lines(folder / JOURNAL)), work.progress()["done"]) == (1, 1)
    work.decide(1, "rejected", "")
    work.close()
    assert [line["review"] for line in lines(folder / JOURNAL)] == ["accepted", "rejected"]


def test_the_table_is_written_every_so_many_decisions_and_at_the_end(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "l", frames=30)
    work = desk(folder)
    for number in range(49):
        work.decide(number, "accepted", "")
    assert "review" not in read_table(folder / "labels.lance").column_names
    work.decide(49, "accepted", "")
    assert sum(row["review"] == "accepted" for row in read_rows(folder / "labels.lance")) == 50
    for number in range(50, 60):
        work.decide(number, "rejected", "")
    assert sum(row["review"] == "rejected" for row in read_rows(folder / "labels.lance")) == 10
    assert (work.progress()["left"], work.next_open(59), work.resume()) == (0, None, None)
    work.close()


def test_writing_again_and_again_does_not_fill_the_disk(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "l")
    work = desk(folder)
    for _ in range(6):
        work.decide(0, "accepted", "")
        work.save()
    work.close()
    assert len([*(folder / "labels.lance" / "data").iterdir()]) == 2


def test_skipped_items_come_again_at_the_end(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "l", frames=2)
    work = desk(folder)
    work.decide(0, "skipped", "")
    for number in range(1, 4):
        work.decide(number, "accepted", "")
    assert work.next_open(3) == 0
    work.close()
    again = desk(folder)
    assert (again.resume(), again.describe(0)["skipped"]) == (0, True)
    again.close()


def test_decisions_are_laid_over_labels_that_were_made_anew(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "l")
    machine = machine_table(folder)
    work = desk(folder)
    work.decide(0, "rejected", "")
    work.decide(1, "accepted", "")
    items = work.queue[:2]
    work.close()
    changed = machine.to_pylist()
    for item in items:
        answers = work.fields[item.task].answers
        changed[item.row]["answer"] = next(a for a in answers if a != item.answer)
    write_table(folder / "labels.lance", pa.Table.from_pylist(changed, schema=machine.schema))
    assert apply_journal(folder, summarise) == 2
    rows = read_rows(folder / "labels.lance")
    assert rows[items[0].row]["review"] == ""
    assert (rows[items[1].row]["review"], rows[items[1].row]["answer"]) == ("accepted", items[1].answer)
    assert apply_journal(labelled(tmp_path / "other"), summarise) == 0


def test_only_one_writer(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = labelled(tmp_path / "l")
    with locked(folder, "drivelet review"):
        line = refused(capfd, "review", folder, "--port", 0)
        assert f"{folder}: drivelet review (process {os.getpid()}) writes its reviews" in line
        refuse_beside_reviewer(folder)  # nothing was decided here that new labels could upset
        (folder / JOURNAL).touch()
        with pytest.raises(InputError, match=f"process {os.getpid()}"):
            refuse_beside_reviewer(folder)
    refuse_beside_reviewer(folder)
    with locked(folder, "drivelet review"):
        pass


@pytest.mark.parametrize("review, answer", [("fixed", "purple"), ("undo", ""), ("praised", "")])
def test_no_other_verdict_is_taken(tmp_path: Path, review: str, answer: str) -> None:
    work = desk(labelled(tmp_path / "l"))
    with pytest.raises(ValueError, match="no"):
        work.decide(0, review, answer)
    with pytest.raises(ValueError, match="no item"):
        work.decide(99, "accepted", "")
    assert lines(work.folder / JOURNAL) == []
    work.close()


def test_fixing_to_the_machine_s_answer_is_accepting_and_accepting_unknown_is_fixing(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "l", fields=(STATE, COUNT))
    rows = read_rows(folder / "labels.lance")
    rows[0]["answer"] = "unknown"
    write_table(folder / "labels.lance", rows)
    write_lines(folder / "labels.jsonl", rows)
    work = desk(folder)
    numbers = {item.row: number for number, item in enumerate(work.queue)}
    work.decide(numbers[0], "accepted", "")
    work.decide(numbers[1], "fixed", rows[1]["answer"])
    work.close()
    assert [(line["review"], line["answer"]) for line in lines(folder / JOURNAL)] == [
        ("fixed", "unknown"),
        ("accepted", rows[1]["answer"]),
    ]


def test_decisions_stay_with_their_recording_and_not_with_its_name(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "l")
    work = desk(folder)
    work.decide(0, "rejected", "")
    decided = work.queue[0]
    work.close()
    machine = machine_table(folder)
    names = machine.column("drive").to_pylist()

    def relabelled(ids: list[str], drives: list[str]) -> list[dict[str, Any]]:
        columns = {"drive_id": ids, "drive": drives}
        table = machine
        for name, values in columns.items():
            place = table.column_names.index(name)
            table = table.set_column(place, name, pa.array(values, pa.string()))
        write_table(folder / "labels.lance", table)
        apply_journal(folder, summarise)
        return [row for row in read_table(folder / "labels.lance").to_pylist() if row.get("review")]

    renamed = relabelled(machine.column("drive_id").to_pylist(), [f"new-{name}" for name in names])
    assert [(row["drive"], row["frame"]) for row in renamed] == [(f"new-{decided.drive}", decided.frame)]
    assert relabelled([f"other-{name}" for name in names], names) == []
