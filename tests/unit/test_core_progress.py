"""Progress: every item passes, and where no one looks there is no bar."""

import sys

import pytest
from rich.console import Console

from drivelet.core.progress import say, track
from drivelet.report.tables import Table, rich_table


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


@pytest.mark.parametrize("name", ["[red]a.mp4", "a[/].mp4", "[bold", "[link=x]y[/link]", r"\[dim]", ":smile:.png"])
def test_names_are_never_read_as_markup(capfd: pytest.CaptureFixture[str], name: str) -> None:
    say(f"{name}: left out", style="yellow")
    assert capfd.readouterr().err.strip() == f"{name}: left out"


def test_control_characters_are_spelt_out(capfd: pytest.CaptureFixture[str]) -> None:
    say("a\x1b[2J\r\udcff.png")
    assert capfd.readouterr().err.strip() == r"a\x1b[2J\r\udcff.png"


def test_a_table_shows_cells_as_they_are(capfd: pytest.CaptureFixture[str]) -> None:
    Console(width=80).print(rich_table(Table(header=("[red]", "n"), rows=(("[/] a", "1"),)), title="[bold]t"))
    out = capfd.readouterr().out
    assert "[red]" in out and "[/] a" in out and "[bold]t" in out
