"""The review page in a real browser: keys pressed, decisions found in the journal and the table."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drivelet.core.tables import read_rows, write_table
from drivelet.review.server import ReviewServer
from review_folders import COUNT, POSTED, STATE, labelled, lines, served

browser = pytest.importorskip("browser", reason="websocket-client, of the dev extra, is not installed")
pytestmark = pytest.mark.skipif(browser.CHROMIUM is None, reason="no chromium on the PATH: apt-get install chromium")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with browser.chromium(tmp_path_factory.mktemp("chromium")) as page:
        yield page
        assert page.faults == []


def visit(page: Any, server: ReviewServer) -> None:
    page.call("Page.navigate", url=server.address)
    page.wait("document.readyState === 'complete' && !!document.body.dataset.number")


def at(page: Any, number: int | str) -> None:
    """Wait until the page shows an item's frame and every decision was answered."""
    page.wait(f"document.body.dataset.number === '{number}' && (shown || {str(number == 'done').lower()})")
    page.wait("chain.then(() => true)")


def text(page: Any, name: str) -> str:
    return page.evaluate(f"document.getElementById('{name}').innerText")


def journal(folder: Path) -> list[tuple[str, int, str, str]]:
    return [(line["review"], line["frame"], line["task"], line["answer"]) for line in lines(folder / "reviews.jsonl")]


def test_keys_decide_and_a_reload_goes_on(tmp_path: Path, page: Any) -> None:
    folder = labelled(tmp_path / "l")
    box = {"drive": "d0", "frame": 0, "kind": "lamp", "x0": 4.0, "y0": 4.0, "x1": 20.0, "y1": 30.0, "score": 0.9}
    write_table(folder / "boxes.lance", [box | {"answer": "red"}])
    with served(folder) as (_, server):
        queue = server.desk.queue
        visit(page, server)
        at(page, 0)
        assert (text(page, "field"), text(page, "answer")) == (queue[0].task, queue[0].answer)
        assert "a labeler is sure of another answer" in text(page, "verdict")
        assert page.evaluate("document.querySelectorAll('#view rect').length") == 1
        assert page.evaluate("document.querySelector('#view img').naturalWidth") == 64
        assert page.evaluate("document.querySelectorAll('td.vote i').length") > 0
        fix = queue[2].answer != (second := server.desk.fields[queue[2].task].answers[1])
        for number, key in enumerate(("a", "r", "2", "u", "Enter", "s")):
            at(page, number)
            page.press(key)
        at(page, 6)
        verdicts = ["accepted", "rejected", "fixed" if fix else "accepted", "fixed", "accepted", "skipped"]
        answers = [queue[0].answer, queue[1].answer, second, "unknown", queue[4].answer, queue[5].answer]
        expected = [(v, i.frame, i.task, a) for v, i, a in zip(verdicts, queue, answers, strict=False)]
        assert journal(folder) == expected
        assert (text(page, "done"), text(page, "left")) == ("5", "11")
        page.press("z")
        at(page, 5)
        page.press("z")
        at(page, 4)
        assert [line[0] for line in journal(folder)[6:]] == ["undo", "undo"]
        assert text(page, "done") == "4"
        visit(page, server)
        at(page, 4)
        page.press("ArrowRight")
        at(page, 5)
        page.press("ArrowLeft")
        at(page, 4)
        assert text(page, "mine") == "Not reviewed yet."
        page.press("ArrowLeft")
        at(page, 3)
        assert text(page, "mine") == "Reviewed: fixed to unknown"
        assert page.faults == []
    rows = {(row["frame"], row["task"]): row for row in read_rows(folder / "labels.lance")}
    found = [(rows[i.frame, i.task]["review"], rows[i.frame, i.task]["answer"]) for i in queue[:6]]
    assert found == [*zip(verdicts[:4], answers[:4], strict=True), ("", answers[4]), ("", answers[5])]


def test_a_field_of_many_answers_is_typed(tmp_path: Path, page: Any) -> None:
    folder = labelled(tmp_path / "l", fields=(POSTED,), frames=3)
    with served(folder) as (_, server):
        queue = server.desk.queue
        visit(page, server)
        at(page, 0)
        assert page.evaluate("document.querySelectorAll('#rows tr').length") == 10
        page.press("f")
        for key in "125":
            page.press(key)
        assert journal(folder) == []
        page.press("Enter")
        at(page, 1)
        page.press("f")
        page.press("Escape")
        page.press("r")
        at(page, 2)
        assert [(line[0], line[3]) for line in journal(folder)] == [
            ("fixed", "125"),
            ("rejected", queue[1].answer),
        ]


def test_the_whole_queue_is_decided_in_the_browser(tmp_path: Path, page: Any) -> None:
    folder = labelled(tmp_path / "l", frames=30, fields=(STATE, COUNT), drives=2)
    with served(folder) as (_, server):
        visit(page, server)
        at(page, 0)
        begun = time.monotonic()
        for number in range(120):
            page.wait(f"document.body.dataset.number === '{number}' && shown")
            page.press("a")
        at(page, "done")
        print(f"{120 / (time.monotonic() - begun):.1f} decisions a second")
        assert "Everything in this queue is decided" in text(page, "view")
        assert {row["review"] for row in read_rows(folder / "labels.lance")} == {"accepted"}
        page.press("z")
        at(page, 119)
        page.press("r")
        at(page, "done")
    assert sum(row["review"] == "rejected" for row in read_rows(folder / "labels.lance")) == 1


def test_a_review_that_has_ended_is_told_and_no_key_is_taken_any_more(tmp_path: Path, page: Any) -> None:
    folder = labelled(tmp_path / "l")
    with served(folder) as (_, server):
        visit(page, server)
        at(page, 0)
    page.press("a")
    page.wait("halted")
    assert "this review has ended" in text(page, "say")
    page.press("a")
    assert journal(folder) == []
    page.faults.clear()  # the browser's own lines about the refused connection


def test_a_missing_picture_says_why_and_can_still_be_decided(tmp_path: Path, page: Any) -> None:
    folder = labelled(tmp_path / "l")
    with served(folder) as (_, server):
        (folder / "d0.mp4").unlink()
        visit(page, server)
        at(page, 0)
        assert "No picture:" in text(page, "view") and "no such video" in text(page, "view")
        page.press("r")
        at(page, 1)
    assert journal(folder)[0][0] == "rejected"
    page.faults.clear()  # the browser's own lines about the missing pictures
