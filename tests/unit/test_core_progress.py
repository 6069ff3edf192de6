"""Progress: every item passes, and where no one looks there is no bar."""

import sys

import pytest

from drivelet.core.progress import say, track


def test_without_a_terminal_items_pass_in_silence(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track(range(3), total=3, what="work")) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")


def test_a_bar_lets_every_item_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert list(track(iter("abc"), total=3, what="work")) == ["a", "b", "c"]


def test_words_go_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    say("hello")
    out, err = capfd.readouterr()
    assert (out, err.strip()) == ("", "hello")
