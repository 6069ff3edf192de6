"""Whatever a reviewer does, the journal tells it all: replaying it gives the same table, undoing it the first one."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivelet.core.artifacts import UNKNOWN
from drivelet.core.tables import read_table
from drivelet.review.decisions import JOURNAL, SKIPPED, UNDO, Decision, in_force, read_journal, standing, verdict
from review_folders import desk, labelled

FRAMES = 5
STEPS = st.lists(
    st.tuples(
        st.integers(0, 2 * FRAMES - 1), st.sampled_from(["accepted", "rejected", "fixed", "skipped", "undo"]),
        st.integers(0, 5),
    ),
    max_size=25,
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labelled(tmp_path_factory.mktemp("review") / "labels", frames=FRAMES)


@settings(max_examples=12)
@given(steps=STEPS, cut=st.integers(0, 25))
def test_the_journal_replays_to_the_same_table_and_undoes_to_the_first(
    folder: Path, steps: list[tuple[int, str, int]], cut: int
) -> None:
    first, text = read_table(folder / "labels.lance"), (folder / "labels.jsonl").read_bytes()
    work = desk(folder)
    for place, (number, review, pick) in enumerate(steps):
        if place == cut:  # killed here, and started again
            work._journal.close()
            work = desk(folder)
        if review == UNDO:
            work.undo()
        else:
            choices = (*work.fields[work.queue[number].task].answers, UNKNOWN)
            work.decide(number, review, choices[pick % len(choices)])
    work.close()
    live, lines = read_table(folder / "labels.lance"), (folder / "labels.jsonl").read_bytes()
    again = desk(folder)
    assert read_table(folder / "labels.lance").equals(live)
    assert (folder / "labels.jsonl").read_bytes() == lines
    assert {again.describe(n)["number"] for n in range(len(again.queue))} == {*range(2 * FRAMES)}
    while again.undo():
        pass
    again.close()
    assert standing(read_journal(folder / JOURNAL)) == []
    assert read_table(folder / "labels.lance").equals(first)
    assert (folder / "labels.jsonl").read_bytes() == text
    (folder / JOURNAL).unlink()


def _record(step: tuple[int, str, int]) -> Decision:
    number, review, pick = step
    return Decision(review=review, drive="d", frame=number, task="t", answer=f"a{pick}", by="b", at="now")


@given(steps=STEPS)
def test_what_stands_is_what_was_not_taken_back(steps: list[tuple[int, str, int]]) -> None:
    records = [_record(step) for step in steps]
    stack = standing(records)
    assert standing(stack) == stack
    assert standing([*records, *[_record((0, UNDO, 0))] * len(stack)]) == []
    undos = sum(record.review == UNDO for record in records)
    assert len(records) - 2 * undos <= len(stack) <= len(records) - undos
    for key, decision in in_force(stack).items():
        of_key = [record for record in stack if record.key == key and record.review != SKIPPED]
        assert decision == of_key[-1]
        answer, accepted, reason = verdict(decision)
        assert answer == decision.answer and accepted == (decision.review != "rejected") == (reason == "")
