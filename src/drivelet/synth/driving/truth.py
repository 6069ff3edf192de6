"""The ground truth of a simulated drive: events, and a table with a row for each frame."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from drivelet.synth.driving.ego import STEP_S, Motion

BRAKING_MPS2 = 3.4
"""A deceleration that most drivers find comfortable (AASHTO, A Policy on Geometric Design, stopping sight distance)."""
STANDING_MPS = 0.3
NEAR_M = 12.0
"""A car that stands nearer than this to the line stands because of it, or of one that waits before it."""
HEADER = (
    "frame", "t_s", "x_m", "y_m", "yaw_rad", "speed_mps", "acceleration_mps2", "yaw_rate_radps", "stop_line_m",
    "lamp_state", "governing_lamp", "intersection", "closed_lanes", "event",
)  # fmt: skip
"""Columns of `truth.csv`: the ego in the road frame (x right of the centre line, y along the road, yaw positive to the
left), metres to the stop line (empty without one; negative behind it), the true state of the light that governs the ego
until it passes, the state that the frame shows, the alert's gold, closed lanes (`0 1`), and the event that is open."""


def intersection_events(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the intersections that a drive comes to.

    Args:
        records: the finished scene records of the drive's frames, in order.

    Returns:
        For each `{"kind": "intersection", "onset_s", "decision_s", "stop_required"}`. The onset is the first frame in
        which the junction counts as ahead. The decision point is the first frame from there on in which the stop line
        lies no farther than the car's braking distance v^2 / (2 `BRAKING_MPS2`), or in which the car stands before
        it; None where the drive ends before. `stop_required` is whether there, or in the last frame, a stop sign
        stands or the true governing light is red or yellow. A junction that is first seen later than that is no event:
        no alert could have come in time.
    """
    onset = next((i for i, record in enumerate(records) if record["facts"]["intersection"] != "none"), None)
    if onset is None or any(_must_decide(record) for record in records[:onset]):
        return []
    decision = next((i for i in range(onset, len(records)) if _must_decide(records[i])), None)
    settled = records[-1 if decision is None else decision]["setting"]
    event = {
        "kind": "intersection",
        "onset_s": records[onset]["t"],
        "decision_s": None if decision is None else records[decision]["t"],
        "stop_required": settled["junction"]["stop_sign"] or settled["lamp_state"] in ("red", "yellow"),
    }
    return [event]


def _must_decide(record: Mapping[str, Any]) -> bool:
    junction, speed = record["setting"]["junction"], record["setting"]["speed_mps"]
    if junction is None:
        return False
    room = junction["stop_y"]
    return room <= speed**2 / (2 * BRAKING_MPS2) or (speed < STANDING_MPS and room < NEAR_M)


def write_truth(
    path: Path, records: Sequence[Mapping[str, Any]], motion: Motion, events: Sequence[Mapping[str, Any]]
) -> None:
    """Write `truth.csv` with the columns of `HEADER`, a row for each frame."""
    yaw_rate = np.gradient(motion.yaw, STEP_S)
    partial = path.with_suffix(".partial")
    with partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(HEADER)
        for record in records:
            k = round(record["t"] / STEP_S)
            x = record["setting"]["ego_x"] + float(motion.x[k])
            pose = (x, motion.y[k], motion.yaw[k], motion.speed[k], motion.acceleration[k], yaw_rate[k])
            cells = [f"{value:.4f}" for value in pose]
            writer.writerow([record["frame"], f"{record['t']:.3f}", *cells, *_seen(record, events)])
    partial.replace(path)


def _seen(record: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> list[str]:
    facts, setting, now = record["facts"], record["setting"], record["t"]
    stop = setting["junction"]["stop_y"] if setting["junction"] else setting.get("stop_line_y")
    ended = [now if event["decision_s"] is None else event["decision_s"] for event in events]
    opened = [e["kind"] for e, end in zip(events, ended, strict=True) if e["onset_s"] <= now <= end]
    return [
        "" if stop is None else f"{stop:.3f}",
        setting["lamp_state"],
        facts["governing_lamp"],
        facts["intersection"],
        " ".join(map(str, facts["closed_lanes"])),
        " ".join(opened),
    ]
