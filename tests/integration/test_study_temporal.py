"""Study `temporal` on two short rendered drives: its path and its files; what it finds there means nothing."""

import json
from pathlib import Path

import pytest

from cli_calls import call, done
from drivelet.adapters import blender
from drivelet.core.errors import MissingBackendError

Capture = pytest.CaptureFixture[str]
SHORT = (
    "drives.num_drives=2",
    "drives.seconds=1.2",
    "drives.hz=5",
    "drives.width=160",
    "drives.height=96",
    "resamples=20",
)


def test_the_study_writes_its_claim_its_rows_and_its_pictures(
    tmp_path: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        blender.find_blender()
    except MissingBackendError as error:
        pytest.skip(str(error))
    monkeypatch.chdir(tmp_path)
    settings = [part for setting in SHORT for part in ("--set", setting)]
    done(capfd, "study", "temporal", "--out", "study", *settings)
    study = json.loads((tmp_path / "study" / "study.json").read_text())
    assert {"study", "claim", "holds", "rows", "links", "imu_gain", "sentence"} <= study.keys()
    assert study["study"] == "temporal"
    assert study["rows"][0]["name"] == "single frame"
    for row in study["rows"]:
        assert {"value", "low", "high"} == row["error"].keys()
    assert "HMM + IMU" in (tmp_path / "study" / "table.md").read_text()
    assert (tmp_path / "study" / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_an_unknown_study_is_named(tmp_path: Path, capfd: Capture) -> None:
    outcome = call(capfd, "study", "tempral", "--out", tmp_path / "x")
    assert outcome.code == 2
    assert outcome.err.splitlines() == ["drivelet: study tempral: no such study; known are data, t2i, temporal"]
