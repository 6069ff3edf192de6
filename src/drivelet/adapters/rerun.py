"""Rerun recordings of labelled drives (rerun-sdk, the extra `rerun`): what https://rerun.io shows on one timeline."""

import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from PIL import Image

from drivelet.core.artifacts import Box, ImageArray
from drivelet.core.errors import MissingBackendError

TIME, FRAME = "t", "frame"
"""Timelines: seconds from the drive's start, and the frame's index in its source."""
EGO = ("speed_mps", "yaw_rate_radps")
LEAST = 0.02
"""An answer whose probability stays below this on the whole drive gets no line of its own."""


def require() -> Any:
    """Return the `rerun` module.

    Raises:
        MissingBackendError: it is not installed.
    """
    try:
        return import_module("rerun")
    except ImportError as error:
        raise MissingBackendError("--rerun: Rerun is not installed; run `pip install 'drivelet[rerun]'`") from error


def record_drive(
    path: Path,
    *,
    drive: str,
    pictures: Iterable[tuple[int, ImageArray]],
    labels: Sequence[Mapping[str, Any]],
    probs: Mapping[tuple[int, str], Mapping[str, float]],
    boxes: Mapping[int, Sequence[Box]],
    ego: Sequence[Mapping[str, Any]],
) -> Path:
    """Write one drive as an `.rrd` file: whole or not at all.

    Entities: `camera` (JPEG) and `camera/boxes`; for each field `labels/FIELD/prob` (of the label's answer),
    `labels/FIELD/probs/ANSWER`, and as states `labels/FIELD/answer` and `labels/FIELD/verdict` (`accepted`, or the
    reason of the rejection); `ego/speed_mps` and `ego/yaw_rate_radps` where the drive has them.

    Args:
        path: the file to write.
        drive: its name.
        pictures: frames as (index, RGB image), ascending.
        labels: rows of the drive's label table, ascending in time.
        probs: probability of every answer by (frame, field).
        boxes: what was detected, by frame; a frame without an entry has none.
        ego: rows with `t` (seconds), `frame`, `speed_mps` and `yaw_rate_radps`; NaN where there is no sensor.

    Raises:
        MissingBackendError: Rerun is not installed.
    """
    rr = require()
    partial = path.with_name(path.name + ".partial")
    fields = list(dict.fromkeys(row["task"] for row in labels))
    stream = rr.RecordingStream("drivelet", recording_id=drive)
    # The hour of writing is no part of a drive.
    stream.set_log_time_enabled(False)
    stream.set_log_tick_enabled(False)
    stream.save(partial, default_blueprint=_layout(fields))
    _camera(stream, pictures, {row["frame"]: row["t"] for row in labels}, boxes)
    for field in fields:
        _field(stream, field, [row for row in labels if row["task"] == field], probs)
    _ego(stream, ego)
    stream.disconnect()
    return partial.replace(path)


def _camera(
    stream: Any,
    pictures: Iterable[tuple[int, ImageArray]],
    times: Mapping[int, float],
    boxes: Mapping[int, Sequence[Box]],
) -> None:
    rr = require()
    for frame, image in pictures:
        stream.set_time(TIME, duration=times[frame])
        stream.set_time(FRAME, sequence=frame)
        jpeg = io.BytesIO()
        Image.fromarray(image).save(jpeg, format="JPEG", quality=90)
        stream.log("camera", rr.EncodedImage(contents=jpeg.getvalue(), media_type="image/jpeg"))
        seen = boxes.get(frame, ())
        words = [" ".join(filter(None, (box.kind, box.answer, f"{box.score:.2f}"))) for box in seen]
        corners = [box.xyxy for box in seen]
        # Logged where there is none, too: else the last ones would stay on the screen.
        stream.log("camera/boxes", rr.Boxes2D(array=corners, array_format=rr.Box2DFormat.XYXY, labels=words))
    stream.reset_time()


def _field(
    stream: Any,
    field: str,
    rows: Sequence[Mapping[str, Any]],
    probs: Mapping[tuple[int, str], Mapping[str, float]],
) -> None:
    rr = require()
    lines: dict[str, list[float]] = defaultdict(lambda: [0.0] * len(rows))
    for place, row in enumerate(rows):
        for answer, prob in probs.get((row["frame"], field), {}).items():
            lines[answer][place] = prob
    root = ["labels", field]
    _scalars(stream, [*root, "prob"], rows, [row["prob"] for row in rows])
    for answer, values in lines.items():
        if max(values) >= LEAST:
            _scalars(stream, [*root, "probs", answer], rows, values)
    for name, states in (
        ("answer", [row["answer"] for row in rows]),
        ("verdict", ["accepted" if row["accepted"] else row["reason"] for row in rows]),
    ):
        entity = rr.new_entity_path([*root, name])
        stream.send_columns(entity, indexes=_times(rows), columns=rr.StateChange.columns(state=states))


def _ego(stream: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    for name in EGO:
        known = [row for row in rows if row[name] == row[name]]
        if known:
            _scalars(stream, ["ego", name], known, [row[name] for row in known])


def _scalars(stream: Any, entity: list[Any], rows: Sequence[Mapping[str, Any]], values: Sequence[float]) -> None:
    rr = require()
    columns = rr.Scalars.columns(scalars=list(values))
    stream.send_columns(rr.new_entity_path(entity), indexes=_times(rows), columns=columns)


def _times(rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    rr = require()
    return [
        rr.TimeColumn(TIME, duration=[row["t"] for row in rows]),
        rr.TimeColumn(FRAME, sequence=[row["frame"] for row in rows]),
    ]


def _layout(fields: Sequence[str]) -> Any:
    """The picture above the car's motion, beside it a tab a field: probabilities above answers and verdicts."""
    rr = require()
    rrb = import_module("rerun.blueprint")

    def tab(field: str) -> Any:
        origin = rr.new_entity_path(["labels", field])
        lines = rrb.TimeSeriesView(origin=origin, contents=["$origin/prob", "$origin/probs/**"], name="probabilities")
        states = rrb.StateTimelineView(origin=origin, contents=["$origin/answer", "$origin/verdict"], name="labels")
        return rrb.Vertical(lines, states, name=field)

    camera = rrb.Spatial2DView(origin="/camera", name="camera")
    motion = rrb.TimeSeriesView(origin="/ego", name="motion")
    left = rrb.Vertical(camera, motion, row_shares=[3, 1])
    return rrb.Blueprint(rrb.Horizontal(left, rrb.Tabs(*map(tab, fields)), column_shares=[3, 2]), collapse_panels=True)
