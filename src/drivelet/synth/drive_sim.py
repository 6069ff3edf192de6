"""Short simulated drives: the ego nears a junction whose light changes, stops, slows at cones; video, IMU, gold."""

import copy
import csv
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from drivelet.adapters import blender
from drivelet.core.manifest import Row, write_manifest
from drivelet.core.rng import derive_seed, generator
from drivelet.synth import scenery
from drivelet.synth import traffic as furniture
from drivelet.synth.build import Builder, pick
from drivelet.synth.domain import DomainConfig
from drivelet.synth.render import Gold, frame_jobs, label_rows, render_missing
from drivelet.synth.scene import RETRO, road_and_camera

STEP_S = 0.01
IMU_HZ = 50
CONE_SPEED_MPS = 5.5
SENSOR_HEADER = ("timestamp_s", "speed_mps", "yaw_rate_radps", "acceleration_mps2")


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
    val: float = 0.1
    test: float = 0.1


@dataclass(frozen=True, kw_only=True)
class Motion:
    """The ego's true motion at `STEP_S`: time, distance along the road, sideways offset, speed, acceleration, yaw."""

    t: NDArray[np.float64]
    y: NDArray[np.float64]
    x: NDArray[np.float64]
    speed: NDArray[np.float64]
    acceleration: NDArray[np.float64]
    yaw: NDArray[np.float64]


Program = tuple[tuple[str, float], ...]
"""Lamp phases in order: (state, seconds)."""


def lamp_at(program: Program, t: float) -> str:
    """The lamp's state at time `t`; the last phase lasts."""
    for state, seconds in program:
        if t < seconds:
            return state
        t -= seconds
    return program[-1][0]


def draw_program(rng: np.random.Generator) -> Program:
    """A stretch of red -> green -> yellow -> red that begins anywhere in it."""
    start = str(rng.choice(["red", "green", "yellow"], p=[0.5, 0.35, 0.15]))
    order = {"red": ("red", "green", "yellow", "red"), "green": ("green", "yellow", "red"), "yellow": ("yellow", "red")}
    seconds = {"red": (3.0, 5.5), "green": (2.0, 4.0), "yellow": (1.6, 2.4)}
    return tuple((state, round(float(rng.uniform(*seconds[state])), 2)) for state in order[start])


def drive_motion(
    rng: np.random.Generator, *, program: Program | None, stop_y: float | None, slow: tuple[float, float] | None,
    seconds: float,
) -> Motion:  # fmt: skip
    """Follow the road: keep speed, brake for a red (or a yellow that leaves room), slow where cones narrow the lane.

    Args:
        rng: draws the cruising speed and the slow sideways wander.
        program: the lamp's phases, or None.
        stop_y: where the stop line lies, or None.
        slow: the stretch that is driven at `CONE_SPEED_MPS`, or None.
        seconds: length of the drive.
    """
    t = np.arange(0, seconds + STEP_S / 2, STEP_S)
    cruise, y = float(rng.uniform(8.0, 13.0)), 0.0
    v, places, speeds, pushes = cruise, [], [], []
    for now in t:
        state = lamp_at(program, float(now)) if program else "none"
        a = _acceleration(v, y, cruise, state, stop_y, slow)
        places.append(y)
        speeds.append(v)
        pushes.append(a)
        y, v = y + v * STEP_S, max(v + a * STEP_S, 0.0)
    width, period = float(rng.uniform(0.02, 0.15)), float(rng.uniform(5, 9))
    along = np.array(places)
    x = width * np.sin(2 * math.pi * along / (period * cruise) + float(rng.uniform(0, 6)))
    slope = np.gradient(x, STEP_S) / np.maximum(np.array(speeds), 1.0)
    return Motion(t=t, y=along, x=x, speed=np.array(speeds), acceleration=np.array(pushes), yaw=-np.arctan(slope))


def _acceleration(
    v: float, y: float, cruise: float, state: str, stop_y: float | None, slow: tuple[float, float] | None
) -> float:
    wanted = cruise
    if slow is not None and y < slow[1]:
        gap = max(slow[0] - y, 0.0)
        wanted = min(cruise, math.sqrt(CONE_SPEED_MPS**2 + 2 * 2.0 * gap))
    push = float(np.clip(1.2 * (wanted - v), -4.0, 1.8))
    if stop_y is None or state not in ("red", "yellow") or y > stop_y - 1.0:
        return push
    room = stop_y - 2.5 - y
    need = v * v / (2 * max(room, 0.05))
    if state == "yellow" and need > 3.5:
        return push
    if v < 0.3 and room < 1.0:
        return -v / STEP_S
    return min(push, -min(need, 8.0)) if need > 1.6 or room < 4.0 else push


@dataclass(frozen=True, kw_only=True)
class _Course:
    """A drive before it is rendered: parts and objects for each lamp state, things that move, the ego's motion."""

    base: dict[str, Any]
    states: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]]
    movers: dict[int, float]
    program: Program | None
    motion: Motion


def plan_drive(config: DriveConfig, index: int) -> _Course:
    """Draw drive `index`: its road, light program, cones, vehicles and the ego's motion."""
    rng = generator(config.seed, "drive", index)
    domain = replace(config.domain, cone_m=(16.0, 42.0), sign_px=(9.0, 15.0), sign_far=0.0)
    light, weather = pick(rng, domain.light), pick(rng, domain.weather)
    road, camera = road_and_camera(rng, domain, (config.width, config.height))
    camera["yaw"] = round(0.3 * camera["yaw"], 3)
    b = Builder(rng=rng, retro=RETRO[light])
    stop = float(rng.uniform(30, 52))
    has_junction, has_lamp = rng.random() < 0.85, rng.random() < 0.85
    junction = _junction(rng, stop, has_lamp) if has_junction else None
    program = draw_program(rng) if has_lamp and junction else None
    scenery.road_surface(b, road, junction)
    slow = _sign_and_cones(b, domain, road, junction)
    movers = _movers(b, road)
    mount = pick(rng, domain.mount)
    if program and mount == "pole" and rng.random() < 0.4:  # a parked truck hides the light for a while
        scenery.vehicle(b, road.half + 1.0, stop - float(rng.uniform(10, 16)), yaw=0.0, kind="truck")
    scenery.surroundings(b, road, junction)
    world, visibility = scenery.world(b, light, weather, scenery.lanterns(b, road, light))
    base = {
        "id": f"drive-{config.seed}-{index}", "size": [config.width, config.height], "domain": domain.name,
        "camera": camera, "world": world,
        "setting": {
            "light": light, "weather": weather, "region": road.region, "area": road.area,
            "unit": furniture.UNIT[road.region], "region_default": furniture.REGION_DEFAULT[road.region],
            "visibility_m": visibility, "junction": junction, "lanes": road.lanes, "ego_lane": road.lane,
            "ego_x": round(road.ego_x, 3), "lane_width": round(road.lane_width, 3),
        },
    }  # fmt: skip
    states = {}
    for state in {state for state, _ in program or (("none", 0.0),)}:
        lit = copy.deepcopy(b)
        if program:
            lit.rng = generator(config.seed, "drive lights", index)  # the same stream for every state
            furniture.signals(lit, domain, road, state, mount, stop + 0.8, others=False)
        states[state] = (lit.parts, lit.objects)
    motion = drive_motion(rng, program=program, stop_y=stop if junction else None, slow=slow, seconds=config.seconds)
    return _Course(base=base, states=states, movers=movers, program=program, motion=motion)


def _junction(rng: np.random.Generator, stop: float, lamp: bool) -> dict[str, Any]:
    end = stop + 4.0 + float(rng.uniform(7.5, 12.0))
    return {"stop_y": stop, "end_y": end, "line": True, "zebra": bool(rng.random() < 0.7), "stop_sign": False}


def _sign_and_cones(
    b: Builder, domain: DomainConfig, road: furniture.Road, junction: dict[str, Any] | None
) -> tuple[float, float] | None:
    """Place a speed sign and cones; returns the stretch where cones narrow the ego lane, or None."""
    rng = b.rng
    clear = (junction["stop_y"] - 1.0, junction["end_y"]) if junction else (-9.0, -9.0)
    if rng.random() < domain.posted:
        values = furniture.POSTED[road.region]
        furniture.speed_sign(b, domain, road, int(values[int(rng.integers(len(values)))]), clear)
    if rng.random() < 0.5:
        narrow = rng.random() < domain.cones_in_path
        count = int(rng.integers(2, 12))
        furniture.cones(b, domain, road, count, narrow, pattern="gate" if narrow else "edge")
        places = [item["at"][1] for item in b.objects if item["kind"] == "cone"]
        return (min(places), max(places) + 2.0) if narrow else None
    return None


def _movers(b: Builder, road: furniture.Road) -> dict[int, float]:
    """Oncoming vehicles and their speed along the road in m/s."""
    speeds = {}
    for _ in range(int(b.rng.integers(0, 3))):
        lane = int(b.rng.integers(road.lanes))
        scenery.vehicle(b, -(lane + 0.5) * road.lane_width, float(b.rng.uniform(45, 110)), yaw=180.0)
        speeds[b.objects[-1]["id"]] = -float(b.rng.uniform(7, 12))
    return speeds


def drive_scenes(config: DriveConfig, index: int) -> tuple[list[dict[str, Any]], Motion]:
    """Unrendered scene records of one drive, one a frame, and the ego's motion.

    Positions stay in the road frame; the camera moves, and `setting.junction` is relative to it.
    """
    course = plan_drive(config, index)
    motion, scenes = course.motion, []
    for frame in range(int(config.seconds * config.hz)):
        k = round(frame / config.hz / STEP_S)
        t = float(motion.t[k])
        state = lamp_at(course.program, t) if course.program else "none"
        parts, objects = copy.deepcopy(course.states[state])
        for item in (*parts, *objects):
            speed = course.movers.get(item.get("index", item.get("id", 0)))
            if speed is not None:
                item["at"][1] = round(item["at"][1] + speed * t, 4)
        scene = {**copy.deepcopy(course.base), "parts": parts, "objects": objects, "frame": frame, "t": round(t, 3)}
        _move_camera(scene, motion, k)
        scene["id"] = f"{course.base['id']}-{frame}"
        scene["seed"] = derive_seed(config.seed, "drive pixels", index, frame) % 2**31
        scenes.append(scene)
    return scenes, motion


def _move_camera(scene: dict[str, Any], motion: Motion, k: int) -> None:
    camera, setting = scene["camera"], scene["setting"]
    y = round(float(motion.y[k]), 4)
    camera["at"] = [round(camera["at"][0] + float(motion.x[k]), 4), y, camera["at"][2]]
    camera["yaw"] = round(camera["yaw"] + math.degrees(float(motion.yaw[k])), 4)
    setting["speed_mps"] = round(float(motion.speed[k]), 3)
    if setting["junction"]:
        for name in ("stop_y", "end_y"):
            setting["junction"][name] = round(setting["junction"][name] - y, 3)


def write_imu(path: Path, motion: Motion, rng: np.random.Generator) -> None:
    """Write 50 Hz sensor readings of a motion, with white noise and a constant bias on each."""
    every = round(1 / IMU_HZ / STEP_S)
    yaw_rate = np.gradient(motion.yaw, STEP_S)
    noise = ((0.05, 0.05), (0.004, 0.002), (0.12, 0.03))
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(SENSOR_HEADER)
        columns = [motion.t[::every]]
        for truth, (sigma, bias) in zip((motion.speed, yaw_rate, motion.acceleration), noise, strict=True):
            values = truth[::every]
            columns.append(values + float(rng.normal(0, bias)) + rng.normal(0, sigma, len(values)))
        columns[1] = np.maximum(columns[1], 0.0)
        for row in zip(*columns, strict=True):
            writer.writerow([f"{value:.4f}" for value in row])


def write_video(path: Path, images: list[Path], hz: int) -> None:
    """Encode PNG frames as nearly lossless H.264 in an MP4 file, one thread, so that equal frames give equal files."""
    partial = path.with_suffix(".partial.mp4")
    with Image.open(images[0]) as first:
        width, height = first.size
    with av.open(str(partial), "w") as container:
        stream = container.add_stream("libx264", rate=hz, options={"crf": "8", "preset": "medium", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for image in images:
            with Image.open(image) as picture:
                pixels = np.asarray(picture.convert("RGB"))
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
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
            (gold for each frame and field; the drive is the group) and `scenes.jsonl`, and `manifest.csv` over all.

    Returns:
        The path of the manifest over all drives.

    Raises:
        InputError: Blender is missing or refuses a scene.
    """
    folders = [out / "drives" / f"{i:03d}" for i in range(config.num_drives)]
    plans = [drive_scenes(config, i) for i in range(config.num_drives)]
    jobs = [frame_jobs(scenes, folder) for (scenes, _), folder in zip(plans, folders, strict=True)]
    render_missing([job for some in jobs for job in some], workers=config.workers, log=out / "blender.log")
    rows: list[Row] = []
    for index, folder in enumerate(folders):
        rows += _finish_drive(config, index, jobs[index], plans[index][1], gold, folder)
    write_manifest(out / "manifest.csv", rows)
    return out / "manifest.csv"


def _finish_drive(
    config: DriveConfig, index: int, jobs: list[blender.Job], motion: Motion, gold: Gold, folder: Path
) -> list[Row]:
    write_video(folder / "video.mp4", [job.image for job in jobs], config.hz)
    write_imu(folder / "sensors.csv", motion, generator(config.seed, "imu", index))
    draw = float(generator(config.seed, "drive split", index).random())
    split = "test" if draw < config.test else "val" if draw < config.test + config.val else "train"
    group = f"drive-{config.seed}-{index}"
    rows = label_rows(jobs, splits=[split] * len(jobs), gold=gold, out=folder, group=group)
    write_manifest(folder / "manifest.csv", rows)
    return rows
