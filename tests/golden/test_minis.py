"""The shipped minis answer as they did when they were released."""

import json
from pathlib import Path

import pytest

from golden.make_minis import answers

HERE = Path(__file__).parent


@pytest.mark.parametrize("name", ["teacher-mini", "student-mini"])
def test_a_mini_gives_its_golden_answers(name: str) -> None:
    golden = json.loads((HERE / "minis.json").read_text())[name]
    found = answers(name)
    assert [(a["image"], a["task"], a["answer"]) for a in found] == [
        (g["image"], g["task"], g["answer"]) for g in golden
    ]
    assert [a["prob"] for a in found] == pytest.approx([g["prob"] for g in golden], abs=2e-3)


def test_all_minis_stay_small() -> None:
    files = [path for path in (HERE.parents[1] / "src" / "drivelet" / "minis").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 40e6
    assert max(path.stat().st_size for path in files) <= 15 * 2**20
