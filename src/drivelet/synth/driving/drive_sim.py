"""Short simulated drives: the ego nears a junction whose light changes, stops, slows at cones; video, IMU, gold."""

import copy
import math
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import av

from drivelet.core.flow import write_json
from drivelet.core.images import image_size, read_image
from drivelet.core.manifest import Row, write_manifest
from drivelet.core.rng import derive_seed, generator
from drivelet.synth.domain import DomainConfig
from drivelet.synth.driving.course import Course, RulesConfig, TrialConfig, plan_drive
from drivelet.synth.driving.ego import STEP_S, Motion, lamp_at
from drivelet.synth.driving.imu import ImuConfig, write_imu
from drivelet.synth.driving.truth import intersection_events, write_truth
from drivelet.synth.driving.world_course import Places, carry, origins, plan_world_drive
from drivelet.synth.records import read_records
from drivelet.synth.render import Gold, frame_jobs, label_rows, render_missing


@dataclass(frozen=True, kw_only=True)
class DriveConfig:
    """How many drives of which domain.

    Attributes:
        num_drives: drives 0 to num_drives - 1 are made.
        seed: drive i depends on (seed, i) and the domain alone.
        seconds, hz: length and frame rate of each.
        width, height: size of the picture in pixels.
        workers: Blender processes; they do not change a pixel.
        domain: what surroundings are drawn from; lights, signs and cones are placed for an approach.
        trials: what makes the drives hard to label.
        rules: stop signs, a vehicle ahead, limits that are kept.
        imu: how the sensors err beyond noise and a constant bias.
        val, test: shares of drives that go to these splits, by a hash of seed and drive.
    """

    num_drives: int
    seed: int = 0
    seconds: float = 8.0
    hz: int = 10
    width: int = 320
    height: int = 192
    workers: int = 1
    domain: DomainConfig = field(default_factory=DomainConfig)
    trials: TrialConfig = field(default_factory=TrialConfig)
    rules: RulesConfig = field(default_factory=RulesConfig)
    imu: ImuConfig = field(default_factory=ImuConfig)
    val: float = 0.1
    test: float = 0.1


def drive_scenes(config: DriveConfig, index: int) -> tuple[list[dict[str, Any]], Motion]:
    """Unrendered scene records of one drive, one a frame, and the ego's motion.

    Positions stay in the road frame; the camera moves, and `setting.junction` is relative to it. `setting.lamp_state`
    is the state of the light that governs the ego until it passes it, whether or not a frame shows it.
    """
    plan = plan_drive if "street" in config.domain.roads else plan_world_drive
    course = plan(
        config.seed, index, config.domain, config.trials, size=(config.width, config.height), seconds=config.seconds,
        rules=config.rules,
    )  # fmt: skip
    motion, scenes, places = course.motion, [], origins(course)
    dark = {int(t * config.hz) for t in course.blinks}
    for frame in range(int(config.seconds * config.hz)):
        k = round(frame / config.hz / STEP_S)
        t = float(motion.t[k])
        state = lamp_at(course.program, t) if course.program else "none"
        # Only places change; copying all of it anew would take longer than half the rendering.
        shown = course.states["off" if frame in dark else state]
        parts, objects = ([{**item, "at": [*item["at"]]} for item in items] for items in shown)
        _move_others([*parts, *objects], course, t, places)
        scene = {**copy.deepcopy(course.base), "parts": parts, "objects": objects, "frame": frame, "t": round(t, 3)}
        _move_camera(scene, course, k)
        signal_y = scene["setting"]["signal_y"]
        scene["setting"]["lamp_state"] = state if signal_y and float(motion.y[k]) < signal_y else "none"
        scene["id"] = f"{course.base['id']}-{frame}"
        scene["seed"] = derive_seed(config.seed, "drive pixels", index, frame) % 2**31
        scenes.append(scene)
    return scenes, motion


def _move_others(items: list[dict[str, Any]], course: Course, t: float, places: Places) -> None:
    for item in items:
        key = item.get("index", item.get("id", 0))
        if key not in course.movers:
            continue
        right, ahead = course.movers[key].shift(t)
        if course.road is not None:
            carry(item, course.road, places[key], right, ahead)
            continue
        for axis, shift in enumerate((right, ahead)):
            item["at"][axis] = round(item["at"][axis] + shift, 4)


def _move_camera(scene: dict[str, Any], course: Course, k: int) -> None:
    camera, setting, motion = scene["camera"], scene["setting"], course.motion
    x, y, z = camera["at"][0] + float(motion.x[k]), round(float(motion.y[k]), 4), camera["at"][2]
    if course.road is not None:
        camera["pitch"] = round(camera["pitch"] + math.degrees(course.road.pose(y).grade), 4)
    at = (x, y, z) if course.road is None else course.road.place(x, y, z)
    camera["at"] = [round(at[0], 4), round(at[1], 4), at[2] if course.road is None else round(at[2], 4)]
    camera["yaw"] = round(camera["yaw"] + math.degrees(float(motion.yaw[k])), 4)
    setting["speed_mps"] = round(float(motion.speed[k]), 3)
    for owner, names in (
        (setting, ("stop_line_y",)),
        (setting["junction"] or {}, ("stop_y", "near_y", "end_y")),
        *((closure, ("start_m", "end_m")) for closure in setting.get("closures", ())),
    ):
        for name in names:
            if owner.get(name) is not None:
                owner[name] = round(owner[name] - y, 3)


def write_video(path: Path, images: list[Path], hz: int) -> None:
    """Encode PNG frames as nearly lossless H.264 in an MP4 file, one thread, so that equal frames give equal files."""
    partial = path.with_suffix(".partial.mp4")
    width, height = image_size(images[0])
    with av.open(str(partial), "w") as container:
        # With its vector code x264 gives several files for one input, 8 different ones in 25 runs; without it one.
        options = {"crf": "8", "preset": "medium", "threads": "1", "x264-params": "asm=0"}
        stream = container.add_stream("libx264", rate=hz, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for image in images:
            for packet in stream.encode(av.VideoFrame.from_ndarray(read_image(image), format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    partial.replace(path)


def render_drives(config: DriveConfig, *, gold: Gold, out: Path) -> Path:
    """Make short drives; a second call keeps what is finished and goes on.

    Args:
        config: what to make.
        gold: computes every field's answer from a finished scene record.
        out: gets `drives/000/` and on, each with `video.mp4`, `sensors.csv` (50 Hz), `frames/`, `manifest.csv`
            (gold for each frame and field; the drive is the group), `clock.json` (the sensors' true offset),
            `scenes.jsonl`, `events.json` and `truth.csv` (see `synth.truth`), and `manifest.csv` over all.

    Returns:
        The path of the manifest over all drives.

    Raises:
        InputError: Blender is missing or refuses a scene.
    """
    folders = [out / "drives" / f"{i:03d}" for i in range(config.num_drives)]
    jobs = chain.from_iterable(frame_jobs(drive_scenes(config, i)[0], folder) for i, folder in enumerate(folders))
    total = config.num_drives * int(config.seconds * config.hz)
    render_missing(jobs, total=total, workers=config.workers, out=out)
    rows = chain.from_iterable(_finish_drive(config, i, gold, folder) for i, folder in enumerate(folders))
    write_manifest(out / "manifest.csv", rows)
    return out / "manifest.csv"


render_drives.stage_version = 2


def _finish_drive(config: DriveConfig, index: int, gold: Gold, folder: Path) -> list[Row]:
    scenes, motion = drive_scenes(config, index)
    jobs = list(frame_jobs(scenes, folder))
    write_video(folder / "video.mp4", [job.image for job in jobs], config.hz)
    write_sensors(folder, config, index, motion)
    draw = float(generator(config.seed, "drive split", index).random())
    split = "test" if draw < config.test else "val" if draw < config.test + config.val else "train"
    group = f"drive-{config.seed}-{index}"
    rows = list(label_rows(jobs, splits=[split] * len(jobs), gold=gold, out=folder, group=group))
    records = list(read_records(folder))
    events = intersection_events(records)
    write_json(folder / "events.json", events)
    write_truth(folder / "truth.csv", records, motion, events)
    write_manifest(folder / "manifest.csv", rows)
    return rows


def write_sensors(folder: Path, config: DriveConfig, index: int, motion: Motion) -> None:
    """Write `sensors.csv` and `clock.json` of a drive."""
    trials = config.trials
    offset = float(generator(config.seed, "clock", index).uniform(*trials.clock_offset_s))
    write_imu(
        folder / "sensors.csv", motion, generator(config.seed, "imu", index), offset_s=offset, noise=trials.imu_noise,
        imu=config.imu, drift=generator(config.seed, "imu drift", index),
    )  # fmt: skip
    write_json(folder / "clock.json", {"offset_s": round(offset, 4)})
