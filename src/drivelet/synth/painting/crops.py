"""Small square pictures cut from rendered frames, each with the facts that it, and not its frame, shows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from drivelet.core import flow
from drivelet.core.artifacts import ImageArray
from drivelet.core.errors import InputError
from drivelet.core.ranges import Seed, Several, Share, Side, ranged
from drivelet.core.rng import derive_seed, generator
from drivelet.synth.painting.captions import CONES, LAMP, STRATA
from drivelet.synth.records import TABLE, read_records

Rect = tuple[float, float, float, float]
"""(left, top, right, bottom) in pixels of the frame."""

SEAM = (31, 38)
"""Rows of a joined picture between which the upper crop fades into the lower one."""
LEAST_LAMP, LEAST_HEAD, LEAST_CONE = 2.4, 6.0, 4.5
"""Least size in pixels of the crop: width of a lit lamp, height of a dark head, height of a cone."""

LAMP_SIDES, CONE_SIDES = (1.3, 2.4), (1.5, 3.0)
"""Side of a crop around a traffic light or a cone, as a multiple of its height."""
LOOKALIKES = ("drum", "channeliser", "arrow_board", "pedestrian_signal")
"""Kinds that a caption does not name and that pass for cones or lamps in a small picture."""
SHIFT = 0.12
"""How far that crop's centre may lie from it, as a share of the side: the steadier the place of what a caption names,
the sooner a painter learns the word."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A rendered frame held in memory with its finished record; `part` is a number in 0..9 for splits."""

    frame: ImageArray
    record: Mapping[str, Any]
    part: int


@dataclass(frozen=True, kw_only=True)
@ranged
class CropConfig:
    """Shares of the four kinds of crop (the rest of 1 is `wide`), and the side of the result in pixels."""

    size: Side = 64
    joined: Share = 0.4
    lamp: Share = 0.25
    cone: Share = 0.15
    jitter: bool = True


def read_scenes(folders: Sequence[Path], *, limit: int | None = None) -> list[Scene]:
    """Read rendered frames: `scenes.jsonl` and `frames/*.png` in each folder or in its subfolders.

    Raises:
        InputError: there are no rendered frames, or a line is no record.
    """
    lists = sorted(found for folder in folders for found in folder.rglob(TABLE))
    scenes: list[Scene] = []
    for path in lists:
        for number, record in enumerate(read_records(path.parent)):
            image = path.parent / record["image"]
            pixels = cv2.imread(str(image))
            if pixels is None:
                continue
            name = str(record.get("id", f"{path.parent.name}-{number}"))
            frame: Any = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
            scenes.append(Scene(frame=frame, record=record, part=derive_seed(0, "part", name) % 10))
            if limit is not None and len(scenes) >= limit:
                return scenes
    if not scenes:
        raise InputError(f"{', '.join(map(str, folders))}: no rendered frames; run `drivelet render --out DIR` first")
    return scenes


def shown(record: Mapping[str, Any], visible: Rect, scale: float) -> dict[str, str] | None:
    """Return what a part of a frame shows, or None where that is a matter of taste.

    Args:
        record: a finished scene record.
        visible: the part of the frame that is seen.
        scale: crop pixels a frame pixel.
    """
    lamps: list[str] = []
    cones = 0
    lit = {item.get("parent") for item in record["objects"] if item["kind"] == "lamp" and item["facing"]}
    for item in record["objects"]:
        known = item["kind"] in ("lamp", "traffic_light", "cone", *LOOKALIKES)
        if not known or not item["box"] or item["pixels"] == 0:
            continue
        inside = _inside(item["box"], visible)
        if inside * item["pixels"] * scale * scale < 3 or (item["kind"] == "traffic_light" and item["id"] in lit):
            continue
        width, height = (item["box"][2] - item["box"][0]) * scale, (item["box"][3] - item["box"][1]) * scale
        whole = inside > 0.6 and item["visible"]
        if item["kind"] == "cone" and whole and height >= LEAST_CONE:
            cones += 1
        elif item["kind"] == "lamp" and item["facing"] and whole and width >= LEAST_LAMP:
            lamps.append(item["state"])
        elif item["kind"] == "traffic_light" and item["facing"] and whole and height >= LEAST_HEAD:
            lamps.append("off")
        elif not (item["kind"] == "cone" and cones > 5):
            return None
    if len(set(lamps)) > 1:
        return None
    bins = ("0", "1-2", "3-5", "6-10")
    setting = record["setting"]
    count = bins[sum(cones > upper for upper in (0, 2, 5))]
    return {LAMP: lamps[0] if lamps else "none", CONES: count, "light": setting["light"], "weather": setting["weather"]}


def _inside(box: Sequence[float], rect: Rect) -> float:
    width = min(box[2], rect[2]) - max(box[0], rect[0])
    height = min(box[3], rect[3]) - max(box[1], rect[1])
    area = max((box[2] - box[0]) * (box[3] - box[1]), 1e-6)
    return max(width, 0.0) * max(height, 0.0) / area


class Cropper:
    """Draws crops with facts from scenes; crop `i` of a seed depends on the scenes, the seed and `i` alone."""

    def __init__(self, scenes: Sequence[Scene], config: CropConfig) -> None:
        self.scenes, self.config = list(scenes), config
        self._lamps: dict[str, list[tuple[int, Sequence[float]]]] = {}
        self._cones: list[tuple[int, Sequence[float]]] = []
        self._bare: list[int] = []
        for number, scene in enumerate(self.scenes):
            self._register(number, scene.record["objects"])
        self._by_setting: dict[tuple[str, str], list[int]] = {}
        for number, scene in enumerate(self.scenes):
            setting = scene.record["setting"]
            self._by_setting.setdefault((setting["light"], setting["weather"]), []).append(number)
        self._cones_by_scene: dict[int, list[Sequence[float]]] = {}
        for number, box in self._cones:
            self._cones_by_scene.setdefault(number, []).append(box)

    def _register(self, number: int, objects: Sequence[Mapping[str, Any]]) -> None:
        heads = {item["id"]: item["box"] for item in objects if item["kind"] == "traffic_light"}
        for item in objects:
            if item["kind"] == "lamp" and item["visible"] and item["facing"]:
                self._lamps.setdefault(item["state"], []).append((number, heads.get(item.get("parent")) or item["box"]))
            elif item["kind"] == "cone" and item["visible"]:
                self._cones.append((number, item["box"]))

    def draw(self, rng: np.random.Generator) -> tuple[ImageArray, dict[str, str]]:
        """Return one crop (size, size, 3) and its facts."""
        for _ in range(200):
            kind = rng.random()
            config = self.config
            if kind < config.joined:
                found = self._joined(rng)
            elif kind < config.joined + config.lamp:
                found = self._single(rng, self._lamp_window(rng), "close")
            elif kind < config.joined + config.lamp + config.cone:
                found = self._single(rng, self._cone_window(rng), "close")
            else:
                found = self._single(rng, self._any_window(rng, 96, 192), "wide")
            if found is not None:
                image, facts = found
                return (_jittered(image, rng) if config.jitter else image), facts
        raise InputError("200 crops in a row showed nothing clear; give more rendered frames")

    def _lamp_window(self, rng: np.random.Generator, state: str | None = None) -> tuple[int, Rect] | None:
        state = state or str(rng.choice(["red", "yellow", "green"]))
        if not self._lamps.get(state):
            return None
        number, box = self._lamps[state][int(rng.integers(len(self._lamps[state])))]
        tall = max(box[3] - box[1], box[2] - box[0], 8)
        return number, self._around(rng, number, box, float(np.clip(tall * rng.uniform(*LAMP_SIDES), 20, 120)))

    def _cone_window(self, rng: np.random.Generator, scene: int | None = None) -> tuple[int, Rect] | None:
        if scene is None:
            if not self._cones:
                return None
            scene, box = self._cones[int(rng.integers(len(self._cones)))]
        else:
            boxes = self._cones_by_scene.get(scene)
            if not boxes:
                return None
            box = boxes[int(rng.integers(len(boxes)))]
        side = float(np.clip((box[3] - box[1]) * rng.uniform(*CONE_SIDES), 28, 150))
        return scene, self._around(rng, scene, box, side)

    def _any_window(
        self, rng: np.random.Generator, low: float, high: float, scene: int | None = None
    ) -> tuple[int, Rect]:
        scene = int(rng.integers(len(self.scenes))) if scene is None else scene
        height, width = self.scenes[scene].frame.shape[:2]
        side = float(rng.uniform(low, min(high, height)))
        left, top = rng.uniform(0, width - side), rng.uniform(0, height - side)
        return scene, (left, top, left + side, top + side)

    def _around(self, rng: np.random.Generator, scene: int, box: Sequence[float], side: float) -> Rect:
        x = (box[0] + box[2]) / 2 + rng.uniform(-SHIFT, SHIFT) * side
        y = (box[1] + box[3]) / 2 + rng.uniform(-SHIFT, SHIFT) * side
        height, width = self.scenes[scene].frame.shape[:2]
        left = float(np.clip(x - side / 2, 0, max(width - side, 0)))
        top = float(np.clip(y - side / 2, 0, max(height - side, 0)))
        return left, top, left + side, top + side

    def _single(
        self, rng: np.random.Generator, window: tuple[int, Rect] | None, view: str
    ) -> tuple[ImageArray, dict[str, str]] | None:
        if window is None:
            return None
        scene, rect = self.scenes[window[0]], window[1]
        facts = shown(scene.record, rect, self.config.size / (rect[2] - rect[0]))
        if facts is None:
            return None
        image = resize(scene.frame, rect, self.config.size)
        signs = any(
            o["kind"].endswith("sign") and o["box"] and _inside(o["box"], rect) > 0 for o in scene.record["objects"]
        )
        return (image[:, ::-1] if rng.random() < 0.5 and not signs else image), {"view": view, **facts}

    def _joined(self, rng: np.random.Generator) -> tuple[ImageArray, dict[str, str]] | None:
        """Join the surroundings of a lamp (above) with road of the same light and weather (below).

        In whole frames lamps are tiny and rarely share a crop with near cones; joined, every pair of a lamp's state
        and the cones' presence is as frequent as any other.
        """
        lamp, cones = STRATA[int(rng.integers(len(STRATA)))]
        tries = (self._join(rng, lamp, cones) for _ in range(40))
        return next((found for found in tries if found is not None), None)

    def _join(self, rng: np.random.Generator, lamp: str, cones: str) -> tuple[ImageArray, dict[str, str]] | None:
        upper = self._any_window(rng, 50, 150) if lamp == "none" else self._lamp_window(rng, lamp)
        lower = self._below(rng, upper[0], cones) if upper else None
        if upper is None or lower is None:
            return None
        size = self.config.size
        rects = [self._lifted(upper, -0.22 * (lamp != "none")), self._lifted(lower, 0.22 * (cones == "some"))]
        scales = [size / (rect[2] - rect[0]) for rect in rects]
        seen_above: Rect = (*rects[0][:3], rects[0][1] + SEAM[1] / scales[0])
        seen_below: Rect = (rects[1][0], rects[1][1] + SEAM[0] / scales[1], *rects[1][2:])
        above = shown(self.scenes[upper[0]].record, seen_above, scales[0])
        below = shown(self.scenes[lower[0]].record, seen_below, scales[1])
        if above is None or below is None or above[CONES] != "0" or below[LAMP] != "none" or above[LAMP] != lamp:
            return None
        if (below[CONES] != "0") != (cones == "some"):
            return None
        top, bottom = (resize(self.scenes[n].frame, r, size) for n, r in zip((upper[0], lower[0]), rects, strict=True))
        fade = np.clip((np.arange(size) - SEAM[0]) / (SEAM[1] - SEAM[0]), 0, 1)[:, None, None]
        image = (top * (1 - fade) + bottom * fade).astype(np.uint8)
        return image, {"view": "near", **above, CONES: below[CONES]}

    def _below(self, rng: np.random.Generator, scene: int, cones: str) -> tuple[int, Rect] | None:
        """Draw a window of road from a scene of the same light and weather."""
        setting = self.scenes[scene].record["setting"]
        alike = self._by_setting[setting["light"], setting["weather"]]
        other = alike[int(rng.integers(len(alike)))]
        return self._cone_window(rng, other) if cones == "some" else self._any_window(rng, 50, 150, other)

    def _lifted(self, window: tuple[int, Rect], share: float) -> Rect:
        """Move a window so that its centre comes to lie `share` of its side lower (or higher) in the picture."""
        height, rect = self.scenes[window[0]].frame.shape[0], window[1]
        side = rect[3] - rect[1]
        top = float(np.clip(rect[1] - share * side, 0, max(height - side, 0)))
        return rect[0], top, rect[2], top + side


def resize(frame: ImageArray, rect: Rect, size: int) -> ImageArray:
    """Cut `rect` from the frame and scale it to (size, size, 3), averaging pixels where it shrinks."""
    scale = size / (rect[2] - rect[0])
    warp: NDArray[np.float64] = np.array([[scale, 0, -rect[0] * scale], [0, scale, -rect[1] * scale]])
    if scale >= 1:
        return _image(
            cv2.warpAffine(frame, warp, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        )
    left, top, right, bottom = (round(v) for v in rect)
    return _image(cv2.resize(frame[top:bottom, left:right], (size, size), interpolation=cv2.INTER_AREA))


def _image(pixels: Any) -> ImageArray:
    return pixels


def _jittered(image: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Vary gain, contrast and saturation; hue stays, because a lamp's hue is its state."""
    values = image.astype(np.float32)
    grey = values.mean(axis=2, keepdims=True)
    values = grey + (values - grey) * rng.uniform(0.9, 1.12)
    values = (values - 110) * rng.uniform(0.92, 1.08) + 110 * rng.uniform(0.92, 1.08)
    return np.clip(values, 0, 255).astype(np.uint8)


@dataclass(frozen=True, kw_only=True)
@ranged
class CutConfig:
    """How many crops to cut; `crop` says of which kinds."""

    num_crops: Several = 600
    seed: Seed = 0
    crop: CropConfig = field(default_factory=lambda: CropConfig(jitter=False))


@flow.stage()
def cut_crops(config: CutConfig, *, folders: Sequence[Path], out: Path) -> Path:
    """Cut crops from rendered frames into `out`: `images/*.png` and, written last, `crops.jsonl` with their facts.

    Args:
        folders: render folders (see `read_scenes`).

    Returns:
        `out`, as `paint_loop` reads it.
    """
    if (out / "crops.jsonl").is_file():
        return out
    (out / "images").mkdir(parents=True, exist_ok=True)
    cropper = Cropper(read_scenes(folders), config.crop)
    lines = []
    for index in range(config.num_crops):
        image, facts = cropper.draw(generator(config.seed, "crop", index))
        name = f"images/{index:06d}.png"
        cv2.imwrite(str(out / name), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        lines.append(json.dumps({"file": name, "facts": facts}))
    partial = out / "crops.partial"
    partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    partial.replace(out / "crops.jsonl")
    return out


def read_crops(folder: Path) -> list[tuple[ImageArray, dict[str, str]]]:
    """Read the pictures and facts of a folder that `cut_crops` wrote.

    Raises:
        InputError: there are none.
    """
    path = folder / "crops.jsonl"
    if not path.is_file():
        raise InputError(f"{folder}: no crops.jsonl; cut crops from rendered frames first")
    crops: list[tuple[ImageArray, dict[str, str]]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        pixels: Any = cv2.imread(str(folder / record["file"]))
        if pixels is None:
            raise InputError(f"{folder / record['file']}: no such image; cut the crops again")
        crops.append((_image(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)), dict(record["facts"])))
    if not crops:
        raise InputError(f"{path}: no crops; cut at least one")
    return crops
