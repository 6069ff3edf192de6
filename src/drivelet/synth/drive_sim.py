"""Short simulated drives: the ego nears a junction whose light changes, stops, slows at cones; video, IMU, gold."""

import copy
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from drivelet.adapters import blender
from drivelet.core.manifest import Row, write_manifest
from drivelet.core.rng import derive_seed, generator
from drivelet.synth import scenery, signs, traffic
from drivelet.synth.build import Builder, pick
from drivelet.synth.cones import place_cones
from drivelet.synth.domain import DomainConfig
from drivelet.synth.ego import STEP_S, Motion, Program, draw_program, drive_motion, lamp_at, write_imu
from drivelet.synth.render import Gold, frame_jobs, label_rows, render_missing
from drivelet.synth.road import POSTED, REGION_DEFAULT, UNIT, Road
from drivelet.synth.scene import RETRO, road_and_camera


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
            "unit": UNIT[road.region], "region_default": REGION_DEFAULT[road.region],
            "visibility_m": visibility, "junction": junction, "lanes": road.lanes, "ego_lane": road.lane,
            "ego_x": round(road.ego_x, 3), "lane_width": round(road.lane_width, 3),
        },
    }  # fmt: skip
    states = {}
    for state in {state for state, _ in program or (("none", 0.0),)}:
        lit = copy.deepcopy(b)
        if program:
            lit.rng = generator(config.seed, "drive lights", index)  # the same stream for every state
            traffic.signals(lit, domain, road, state, mount, stop + 0.8, others=False)
        states[state] = (lit.parts, lit.objects)
    motion = drive_motion(rng, program=program, stop_y=stop if junction else None, slow=slow, seconds=config.seconds)
    return _Course(base=base, states=states, movers=movers, program=program, motion=motion)


def _junction(rng: np.random.Generator, stop: float, lamp: bool) -> dict[str, Any]:
    end = stop + 4.0 + float(rng.uniform(7.5, 12.0))
    return {"stop_y": stop, "end_y": end, "line": True, "zebra": bool(rng.random() < 0.7), "stop_sign": False}


def _sign_and_cones(
    b: Builder, domain: DomainConfig, road: Road, junction: dict[str, Any] | None
) -> tuple[float, float] | None:
    """Place a speed sign and cones; returns the stretch where cones narrow the ego lane, or None."""
    rng = b.rng
    clear = (junction["stop_y"] - 1.0, junction["end_y"]) if junction else (-9.0, -9.0)
    if rng.random() < domain.posted:
        values = POSTED[road.region]
        signs.speed_sign(b, domain, road, int(values[int(rng.integers(len(values)))]), clear)
    if rng.random() < 0.5:
        narrow = rng.random() < domain.cones_in_path
        count = int(rng.integers(2, 12))
        place_cones(b, domain, road, count, narrow, pattern="gate" if narrow else "edge")
        places = [item["at"][1] for item in b.objects if item["kind"] == "cone"]
        return (min(places), max(places) + 2.0) if narrow else None
    return None


def _movers(b: Builder, road: Road) -> dict[int, float]:
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


def write_video(path: Path, images: list[Path], hz: int) -> None:
    """Encode PNG frames as nearly lossless H.264 in an MP4 file, one thread, so that equal frames give equal files."""
    partial = path.with_suffix(".partial.mp4")
    with Image.open(images[0]) as first:
        width, height = first.size
    with av.open(str(partial), "w") as container:
        # With its vector code x264 gives several files for one input, 8 different ones in 25 runs; without it one.
        options = {"crf": "8", "preset": "medium", "threads": "1", "x264-params": "asm=0"}
        stream = container.add_stream("libx264", rate=hz, options=options)
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
