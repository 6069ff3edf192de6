from pathlib import Path

from drivelet.report.labelers import write_labelers, yield_plot

CHOICES = {"cone.in_path": ("yes", "no", "unknown")}
FOUND = {
    "method": "platt", "params": [1.0, 0.0], "count": 40, "accuracy": 0.9, "nll_before": 0.5, "nll_after": 0.3,
    "ece_before": 0.2, "ece_after": 0.05, "confusion": [[18, 2, 0], [2, 18, 0], [0, 0, 0]],
    "reliability": [[0.6, 0.5, 10], [0.95, 0.97, 30]], "note": "",
}  # fmt: skip


def test_the_report_holds_the_numbers_and_only_answers_that_occur(tmp_path: Path) -> None:
    write_labelers({"colour": {"cone.in_path": FOUND}}, CHOICES, out=tmp_path)
    text = (tmp_path / "labelers.md").read_text()
    assert "| colour | cone.in_path | platt | 40 | 0.900 | 0.200 | 0.050 |" in text
    assert "| yes | 18 | 2 |" in text
    assert "unknown" not in text
    assert (tmp_path / "labelers.png").read_bytes().startswith(b"\x89PNG")


def test_a_labeler_with_too_little_gold_has_dashes(tmp_path: Path) -> None:
    little = {**FOUND, "method": "identity", "count": 3, "ece_before": float("nan"), "ece_after": float("nan")}
    write_labelers({"colour": {"cone.in_path": {**little, "reliability": []}}}, CHOICES, out=tmp_path)
    assert "| identity | 3 | 0.900 | – | – |" in (tmp_path / "labelers.md").read_text()


def test_without_gold_there_is_nothing_to_write(tmp_path: Path) -> None:
    write_labelers({}, CHOICES, out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_yield_is_drawn() -> None:
    points = [{"min_prob": 0.1, "kept": 1.0, "precision": 0.8}, {"min_prob": 0.9, "kept": 0.4, "precision": 0.95}]
    assert yield_plot([{"task": "cone.count", "frames": 32, "yield": points}]).startswith(b"\x89PNG")
