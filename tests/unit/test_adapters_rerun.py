"""Rerun recordings: read back with Rerun's own reader where it is installed, else told with the remedy."""

import importlib.util
import io
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from cli_calls import refused
from drive_files import numbered_frame, write_sensors
from drivelet.adapters.rerun import record_drive, require
from drivelet.core.artifacts import Box
from drivelet.core.errors import MissingBackendError
from drivelet.core.tables import read_rows, write_table
from drivelet.drives.ingest import IngestConfig, ingest
from drivelet.recipes.recording import record_labels
from review_folders import COUNT, STATE, labelled

HAS_RERUN = importlib.util.find_spec("rerun") is not None
needs_rerun = pytest.mark.skipif(not HAS_RERUN, reason="rerun-sdk, an extra, is not installed")


def read(path: Path) -> dict[str, dict[str, list[Any]]]:
    """Return entity -> column -> values in the order of time, with `t` in seconds."""
    from rerun.chunk import RrdReader  # pyright: ignore[reportMissingImports]

    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for chunk in RrdReader(str(path)).stream().to_chunks():
        if not chunk.is_static:
            batch = chunk.to_record_batch()
            place = batch.schema.names.index("t")
            table = pa.table(batch).set_column(place, "t", batch.column(place).cast(pa.int64()))
            rows[chunk.entity_path] += table.to_pylist()
    found: dict[str, dict[str, list[Any]]] = {}
    for entity, cells in rows.items():
        cells.sort(key=lambda cell: cell["t"])
        found[entity] = {name: [cell.get(name) for cell in cells] for name in {key for cell in cells for key in cell}}
        found[entity]["t"] = [cell["t"] / 1e9 for cell in cells]
    return found


def column(entity: dict[str, list[Any]], word: str) -> list[Any]:
    """Return the one column whose name ends in `word`, lists of one unpacked."""
    (name,) = [name for name in entity if name.endswith(word)]
    return [value[0] if isinstance(value, list) and len(value) == 1 else value for value in entity[name]]


def label(frame: int, answer: str, prob: float, reason: str = "") -> dict[str, Any]:
    return {"frame": frame, "t": frame / 10, "task": STATE, "answer": answer, "prob": prob, "accepted": not reason,
            "reason": reason}  # fmt: skip


@needs_rerun
def test_a_recording_holds_pictures_boxes_labels_and_motion(tmp_path: Path) -> None:
    labels = [label(0, "red", 0.9), label(2, "red", 0.6, "low_confidence"), label(4, "green", 0.8)]
    probs = {(0, STATE): {"red": 0.9, "green": 0.1, "off": 0.001}, (4, STATE): {"green": 0.8, "red": 0.2}}
    ego = [{"t": n / 10, "frame": n, "speed_mps": 10.0 + n, "yaw_rate_radps": math.nan} for n in range(5)]
    path = record_drive(
        tmp_path / "d.rrd", drive="d", pictures=[(n, numbered_frame(n)) for n in (0, 2, 4)], labels=labels,
        probs=probs, boxes={2: [Box(kind="lamp", xyxy=(1, 2, 5, 10), score=0.75, answer="red")]}, ego=ego,
    )  # fmt: skip
    assert [p.name for p in tmp_path.iterdir()] == ["d.rrd"] and path == tmp_path / "d.rrd"
    found = {name.replace("\\", ""): entity for name, entity in read(path).items()}
    root = f"/labels/{STATE}"
    assert found["/camera"]["t"] == pytest.approx([0.0, 0.2, 0.4])
    assert found["/camera"]["frame"] == [0, 2, 4]
    blob = column(found["/camera"], "blob")[2]
    picture = np.asarray(Image.open(io.BytesIO(bytes(blob))))
    assert np.abs(picture.astype(int) - numbered_frame(4)).max() < 6
    assert column(found["/camera/boxes"], "labels") == [[], "lamp red 0.75", []]
    assert column(found[f"{root}/prob"], "scalars") == [0.9, 0.6, 0.8]
    assert column(found[f"{root}/probs/red"], "scalars") == [0.9, 0.0, 0.2]
    assert column(found[f"{root}/probs/green"], "scalars") == [0.1, 0.0, 0.8]
    assert f"{root}/probs/off" not in found
    assert column(found[f"{root}/answer"], "state") == ["red", "red", "green"]
    assert column(found[f"{root}/verdict"], "state") == ["accepted", "low_confidence", "accepted"]
    assert column(found["/ego/speed_mps"], "scalars") == [10.0, 11.0, 12.0, 13.0, 14.0]
    assert "/ego/yaw_rate_radps" not in found


@needs_rerun
def test_every_labelled_drive_gets_a_recording(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "l", drives=2, fields=(STATE, COUNT))
    write_sensors(folder / "d1.csv")
    box = {"drive": "d0", "frame": 2, "kind": "cone", "x0": 1.0, "y0": 1.0, "x1": 9.0, "y1": 9.0, "score": 0.5}
    write_table(folder / "boxes.lance", [box | {"answer": ""}])
    ingested = [ingest(IngestConfig(), source=folder / f"d{n}.mp4", out=tmp_path / f"in{n}") for n in range(2)]
    for n in range(2):  # labelled where they lie, as `drivelet label` does
        rows = [row | {"file": f"d{n}.mp4"} for row in read_rows(tmp_path / f"in{n}" / "frames.lance")]
        write_table(tmp_path / f"in{n}" / "frames.lance", rows)
    paths = record_labels(folder, drives=ingested)
    assert [path.name for path in paths] == ["d0.rrd", "d1.rrd"]
    first, second = (read(path) for path in paths)
    assert len(first["/camera"]["t"]) == len(second["/camera"]["t"]) == 8
    assert "/ego/speed_mps" not in first and len(second["/ego/speed_mps"]["t"]) == 16
    assert column(first["/camera/boxes"], "labels")[1] == "cone 0.50"


@pytest.mark.skipif(HAS_RERUN, reason="rerun-sdk is installed")
def test_missing_rerun_is_told_with_its_remedy_before_anything_is_done(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(MissingBackendError, match=r"pip install 'drivelet\[rerun\]'"):
        require()
    assert "drivelet[rerun]" in refused(capfd, "label", tmp_path / "x.mp4", "--out", tmp_path / "o", "--rerun")
    assert [*tmp_path.iterdir()] == []
