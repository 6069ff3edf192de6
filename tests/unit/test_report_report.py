"""Tables, plots, headline and the page."""

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from drivelet.core.errors import InputError
from drivelet.report import plots, tables
from drivelet.report.given import read_summary
from drivelet.report.headline import headline
from drivelet.report.html import report_folder, write_report
from drivelet.report.sections import load_sections, sections


def row(name: str, score: float, **more) -> dict:
    facts = {"score": score, "low": score - 0.05, "high": score + 0.05, "n": 40, "majority": 0.2, "blind": 0.25}
    fields = {"traffic_light.state": facts, "cone.count": facts, "cone.in_path": facts | {"score": score - 0.1}}
    average = {key: facts[key] for key in ("score", "low", "high")}
    costs = {"fps": 10.0, "fps_low": 9.0, "fps_high": 12.0, "weight_mb": 3.2, "peak_rss_mb": 400.0}
    costs |= {"model_mb": 20.0, "dtype": "bfloat16"}
    return {"name": name, "model": "m", "prompts": None, "fields": fields, "average": average} | costs | more


def paired(a: str, b: str, gap: float, task: str = "average") -> dict:
    return {"a": a, "b": b, "task": task, "difference": gap, "low": gap - 0.02, "high": gap + 0.02, "p": 0.0004}


SUMMARY = {
    "recipe": "mini",
    "data": "400 rendered frames",
    "rows": [row("teacher", 0.9), row("base", 0.5), row("awq", 0.86, measures={"cone.count.kappa": 0.7})],
    "tests": [paired("awq", "base", 0.36), paired("awq", "base", 0.3, "cone")],
}


class Checker(HTMLParser):
    """Every tag that opens closes, and nothing is loaded from elsewhere."""

    VOID = ("meta", "img", "br", "link")

    def __init__(self):
        super().__init__()
        self.stack: list[str] = []
        self.images: list[str] = []

    def handle_starttag(self, tag, attrs):
        assert tag not in ("script", "link")
        if tag == "img":
            self.images.append(dict(attrs)["src"] or "")
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag


def checked(page: Path) -> tuple[str, list[str]]:
    text = page.read_text(encoding="utf-8")
    checker = Checker()
    checker.feed(text)
    assert not checker.stack
    assert all(image.startswith("data:image/png;base64,") for image in checker.images)
    return text, checker.images


COSTS = ("10.0 [9.0, 12.0]", "bfloat16", "3.2", "20.0", "400.0")


def test_summary_table():
    table = tables.summary_table(SUMMARY["rows"])
    assert table.header[:3] == ("model", "traffic_light", "cone")
    assert table.rows[2] == ("awq", "0.860", "0.810", "0.860 [0.810, 0.910]", *COSTS)
    sparse = row("x", 0.5, fps=None, average={"score": None, "low": None, "high": None})
    assert tables.summary_table([sparse]).rows[0][-6:] == ("–", "–", *COSTS[1:])
    old = {
        key: value for key, value in row("x", 0.5).items() if key not in ("fps_low", "fps_high", "model_mb", "dtype")
    }
    assert tables.summary_table([old]).rows[0][-5:] == ("10.0", "–", "3.2", "–", "400.0")
    assert tables.summary_table([row("x", 0.5, tasks={"cone": {"score": 0.1}})]).rows[0][1] == "0.100"


def test_field_and_paired_tables():
    fields = tables.field_table(SUMMARY["rows"])
    assert len(fields.rows) == 9
    assert fields.rows[0][:5] == ("traffic_light.state", "teacher", "0.900 [0.850, 0.950]", "0.200", "0.250")
    assert tables.paired_table(SUMMARY["tests"]).rows[0] == ("awq", "base", "average", "0.360 [0.340, 0.380]", "<0.001")


def test_generic_tables():
    table = tables.records_table([{"module": "qkv", "loss": 0.5}, {"module": "o", "bits": 4, "keep": True}])
    assert table.header == ("module", "loss", "bits", "keep")
    assert table.rows == (("qkv", "0.500", "–", "–"), ("o", "–", "4", "true"))
    assert table.text_columns == 1
    assert tables.tree_table({"a": {"b": 1, "c": {}}, "d": [1]}).rows == (("a.b", "1"), ("a.c", "{}"), ("d", "[1]"))


def test_markdown_and_terminal():
    table = tables.Table(header=("a", "b"), rows=(("x|y", "1"),))
    assert tables.markdown(table) == "| a | b |\n| --- | ---: |\n| x\\|y | 1 |\n"
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    with console.file:
        console.print(tables.rich_table(tables.summary_table(SUMMARY["rows"]), title="Results"))
    assert "0.860 [0.810, 0.910]" in console.export_text()


def test_a_name_is_no_markup():
    table = tables.Table(header=("[bold]head", "speed [min]"), rows=(("[red]x[/red]", "[/]"),))
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(tables.rich_table(table, title="[i]title"))
    printed = console.export_text()
    assert all(text in printed for text in ("[bold]head", "speed [min]", "[red]x[/red]", "[/]", "[i]title"))


@pytest.mark.parametrize("count", [1, 3, 20])
def test_plots_are_pngs_without_warnings(count):
    rows = [row(f"a long name {i} $x$ _ 漢字 for a row of the table", 0.5) for i in range(count)]
    rows.append(row("none", 0.5, fps=None, weight_mb=None, average={"score": None, "low": None, "high": None}))
    rounds = [
        {"round": i, "generated": 10 * i, "rejected": {"blurred": 0.02 * i, "wrong lamp": 0.01 * i}}
        for i in range(count)
    ]
    for png in (plots.scores_plot(rows), plots.trade_off_plot(rows), plots.rejections_plot(rounds)):
        assert png.startswith(b"\x89PNG")
    for png in (plots.trade_off_plot(rows[-1:]), plots.rejections_plot([{"generated": None}])):
        assert png.startswith(b"\x89PNG")


def test_plots_repeat():
    assert plots.scores_plot(SUMMARY["rows"]) == plots.scores_plot(SUMMARY["rows"])


def test_headline():
    text = headline(SUMMARY)
    assert text == (
        "awq scores 0.860 [0.810, 0.910] on average over 2 tasks; 0.360 above base (paired 95% interval of the "
        "difference 0.340 to 0.380); it closes 90% of the gap between base and teacher; "
        "10.0 frames/s, 3.2 MB of weights, 400.0 MB peak memory."
    )
    rows = [row("base", 0.5), row("x", 0.49)]
    close = headline({"rows": rows, "tests": [paired("base", "x", 0.01)]})
    assert "0.010 below base" in close
    assert "-0.030 to 0.010, which the data cannot tell from no difference" in close
    assert headline({"rows": []}) == "This run has measured no model."
    assert "no better" in headline({"rows": [row("teacher", 0.4), row("base", 0.5), row("x", 0.6)]})


def test_page(tmp_path: Path):
    Image.fromarray(np.zeros((300, 900, 3), np.uint8)).save(tmp_path / "frame.png")
    answers = [
        {"task": "cone.count", "answer": "1-2", "gold": "some", "prob": 0.8, "right": True},
        {"task": "cone.in_path", "answer": "no", "gold": "yes", "right": False},
        {"task": "intersection.alert", "answer": "none"},
    ]
    samples = [{"image": "frame.png", "answers": answers}, {"image": "gone.png", "answers": []}]
    verdict = {"lamp": {"score": 0.5, "low": 0.4, "high": 0.6, "n": 20}}
    first = {"round": 0, "generated": 20, "rejected": {"<script>": 0.75}, "loop": verdict, "control": verdict}
    painter = {"scorer": "a", "held_out": "b", "base": verdict, "rounds": [first]}
    parts = {
        "summary": SUMMARY,
        "samples": samples,
        "painter": painter,
        "labels": {"accepted": 10, "rejected": {"flicker": 3}},
        "quantisation": [{"task": "cone", "bits": 4, "loss": 0.01}],
        "config": {"awq": {"group_size": 64}},
        "own_study": [{"claim": "x", "holds": False}],
        "note": "free text",
    }
    for name, content in parts.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    page = report_folder(tmp_path)
    assert page == tmp_path / "report.html"
    text, images = checked(page)
    assert len(images) == 4
    assert headline(SUMMARY) in text
    assert "<script>" not in text
    assert "rejected: &lt;script&gt;" in text
    for words in (
        "awq.group_size",
        "0.750",
        "rejected: flicker",
        "no longer there",
        "Own study",
        "free text",
        "control, round 0",
    ):
        assert words in text, words
    assert re.search(r'class="right">1-2<', text)
    assert re.search(r'class="wrong">no<', text)
    assert [path.name for path in tmp_path.glob("*.partial")] == []


def test_bare_page(tmp_path: Path):
    page = write_report({"rows": []}, tmp_path / "deep" / "page.html")
    text, images = checked(page)
    assert images == []
    assert "no model" in text
    with pytest.raises(InputError, match="rows"):
        write_report({}, tmp_path)


def test_what_was_scored(tmp_path: Path):
    data = {"test": "stages/test.csv", "images": 400, "rows": 2400, "kind": "rendered"}
    for given, words in (
        (data, "400 rendered images, 2400 questions (stages/test.csv)"),
        ({"a": 1}, "{&#34;a&#34;: 1}"),
    ):
        assert words in write_report({"recipe": "mini", "data": given, "rows": []}, tmp_path).read_text()


def test_order_of_sections():
    found = sections({"config": {"a": 1}, "zebra": [1], "labels": {"accepted": 1}, "painter": {}, "adder": {"b": 2}})
    assert [section.name for section in found] == ["labels", "adder", "zebra", "config"]


def test_wrong_folders(tmp_path: Path):
    with pytest.raises(InputError, match="no such file"):
        read_summary(tmp_path / "summary.json")
    (tmp_path / "summary.json").write_text("[]")
    with pytest.raises(InputError, match="must be an object"):
        read_summary(tmp_path / "summary.json")
    (tmp_path / "extra.json").write_text("{")
    with pytest.raises(InputError, match=r"extra\.json: no JSON"):
        load_sections(tmp_path)


def test_an_alarm_stands_at_the_top_and_the_gap_has_its_section(tmp_path: Path):
    part = {
        name: {"value": value, "low": value - 0.1, "high": value + 0.1}
        for name, value in (("real", 0.5), ("synthetic", 0.9), ("gap", 0.4))
    }
    gap = {
        "auc": 0.97,
        "features": [{"feature": "noise", "difference": -2.1, "real": 9.0, "synthetic": 1.0}],
        "accuracy": {"tasks": {"cone": part}, "average": part},
    }
    alarm = {"name": "domain_gap", "message": "Alarm domain_gap: awq is good on <synthetic> images"}
    page = write_report({**SUMMARY, "alarms": [alarm]}, tmp_path, extras={"domain_gap": gap}).read_text()
    assert 'class="lead alarm">Alarm domain_gap: awq is good on &lt;synthetic&gt; images' in page
    assert "Domain gap" in page and "noise" in page and "0.400 [0.300, 0.500]" in page and "0.97" in page
