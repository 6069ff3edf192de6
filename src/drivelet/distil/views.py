"""Training views of rendered frames: crops and camera noise, with answers and dense cell labels that follow the crop.

A view never changes what is true in it: no mirroring (lanes and digits have a side), hue moves by a few degrees at most
(lamp colours must not cross), and a question whose answer a crop makes ambiguous is not asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from drivelet.core.artifacts import Field, ImageArray
from drivelet.distil.drawn_signs import paste

CELL = 28
FULL_GRID = (11, 7)
CROP_GRID = (4, 4)
ZOOM_GRIDS = ((6, 6), (8, 5), (5, 8), (4, 4), (3, 6))
LAMPS = ("none", "red", "yellow", "green", "off")
JUNCTION_PARTS = ("cross_street", "crosswalk", "stop_line", "yield_line", "stop_sign", "yield_sign")
CELL_HEADS = {"lamp": 5, "governs": 3, "cone": 4, "in_path": 2, "sign": 29, "junction": 7}
"""Dense targets of every merged vision token, and their number of classes; class 0 is empty."""
FRAME_HEADS = {"light": 3, "weather": 3, "region": 3, "default": 29, "visibility": 4}
"""Targets of the whole frame, read from the mean token; the last three are what a recommended speed follows from."""
REGIONS = ("eu", "us", "cn")
SIGHT_M = (200, 100, 50)
"""Visibilities below which a recommended speed is capped."""
SIGN_SHARE = 0.6
"""Share of views without a sign that get a drawn one."""
SIGN_PX = (13.0, 60.0)
ZOOM = (0.8, 3.2)
"""Range of a crop's magnification: most crops show objects about as large as a whole frame does. It and `SIGN_PX` hold
for frames of `FULL_GRID` cells and grow with the frame's."""


@dataclass(frozen=True, kw_only=True)
class View:
    """One augmented image.

    Attributes:
        image: RGB, sides of a multiple of 28.
        answers: field -> answer, only for fields that can be answered from this view.
        cells: dense target -> class of every cell, shape (rows, columns); -1 where it is not known.
        frame: frame target -> class, or -1 where it is not known.
    """

    image: ImageArray
    answers: Mapping[str, str]
    cells: Mapping[str, NDArray[np.int64]]
    frame: Mapping[str, int]


def make_view(
    rng: np.random.Generator,
    image: ImageArray,
    scene: Mapping[str, Any],
    gold: Mapping[str, str],
    *,
    grid: tuple[int, int],
    full: tuple[int, int] = FULL_GRID,
    sign_styles: Sequence[str] = (),
) -> View:
    """Cut a window from a rendered frame, resize it to `grid` (columns, rows) cells, and derive its labels.

    The grid of a `full` frame gets windows of 86-100% of it; other grids zoom to an object or a random place. Many
    views without a speed sign get a drawn one of `sign_styles`.
    """
    whole, gain = grid == full, full[0] / FULL_GRID[0]
    window = _mild_window(rng, image, grid) if whole else _zoom_window(rng, image, scene, grid, gain)
    x0, y0, x1, y1 = window
    size = (grid[0] * CELL, grid[1] * CELL)
    shrink = (x1 - x0) > size[0]
    cut = cv2.resize(image[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA if shrink else cv2.INTER_CUBIC)
    seen = [_project(item, window, size) for item in scene["objects"] if item.get("box")]
    seen = [item for item in seen if item["inside"] > 0.1]
    cut = np.ascontiguousarray(cut, dtype=np.uint8)
    answers = _answers(seen, scene, gold, whole=whole)
    if sign_styles and answers.get("speed_limit.posted") == "none" and rng.random() < SIGN_SHARE:
        drawn = _with_sign(rng, cut, seen, style=str(rng.choice(sign_styles)), whole=whole, gain=gain)
        if drawn:
            seen = [*seen, drawn]
            answers["speed_limit.posted"] = str(drawn["value"])
            answers.pop("speed_limit.recommended", None)
    return View(
        image=camera_noise(rng, cut),
        answers=answers,
        cells=_cells(seen, scene, grid),
        frame=_frame_targets(scene),
    )


def _with_sign(
    rng: np.random.Generator, image: ImageArray, seen: Sequence[Mapping[str, Any]], *, style: str, whole: bool,
    gain: float,
) -> dict[str, Any] | None:  # fmt: skip
    """Paste a drawn speed sign, in place, where it covers nothing that a label speaks of; None: no such place."""
    high, wide = image.shape[:2]
    top = min(gain * SIGN_PX[1], 0.95 * min(high, wide))
    for _ in range(6):
        side = int(np.exp(rng.uniform(np.log(gain * SIGN_PX[0]), np.log(top))))
        x = int(rng.integers(wide - side + 1))
        y = int(rng.integers(max(int((0.75 if whole else 1.0) * high) - side, 0) + 1))
        box = (x, y, x + side, y + side)
        if not any(_overlap(box, item["at_box"]) for item in seen if item["kind"] not in ("cross_street", "crosswalk")):
            value, at_box = paste(rng, image, style, corner=(x, y), side=side)
            return {"kind": "speed_sign", "value": value, "visible": True, "at_box": at_box, "distance_m": 0.0}
    return None


def sign_sheet(
    rng: np.random.Generator, image: ImageArray, *, grid: tuple[int, int], styles: Sequence[str], ease: float
) -> View:
    """Return a piece of a frame full of drawn signs, one in every square of one or four cells, and none in some.

    Digits are what a small model learns last; here every cell teaches them. No question is asked of it. With `ease` 1
    signs fill their squares, so that digits lie always alike in the cells; with 0 they are of half to full size, lie
    anywhere in them, and on most sheets the squares themselves lie across the cells.
    """
    width, height = grid[0] * CELL, grid[1] * CELL
    x, y = int(rng.integers(image.shape[1] - width + 1)), int(rng.integers(image.shape[0] - height + 1))
    cut = image[y : y + height, x : x + width].copy()
    cells = {name: np.full((grid[1], grid[0]), 0 if name == "sign" else -1, dtype=np.int64) for name in CELL_HEADS}
    square = CELL * int(rng.integers(1, 3))
    left, top = rng.integers(CELL, size=2).tolist() if rng.random() < 0.7 * (1 - ease) else (0, 0)
    for row in range(top, height - square + 1, square):
        for column in range(left, width - square + 1, square):
            if rng.random() < 0.2:
                continue
            side = int(square * rng.uniform(0.5 + 0.5 * ease, 1.0))
            slack = square - side
            corner = column + int(rng.integers(slack + 1)), row + int(rng.integers(slack + 1))
            value, box = paste(rng, cut, str(rng.choice(styles)), corner=corner, side=side)
            cells["sign"][_covered(box, grid)] = value // 5
    return View(image=camera_noise(rng, cut), answers={}, cells=cells, frame=dict.fromkeys(FRAME_HEADS, -1))


def _overlap(a: Sequence[float], b: Sequence[float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _mild_window(rng: np.random.Generator, image: ImageArray, grid: tuple[int, int]) -> tuple[int, int, int, int]:
    height, width = image.shape[:2]
    scale = rng.uniform(0.86, 1.0) if rng.random() < 0.6 else 1.0
    w, h = int(width * scale), int(height * scale)
    x0, y0 = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
    return x0, y0, x0 + w, y0 + h


def _zoom_window(
    rng: np.random.Generator, image: ImageArray, scene: Mapping[str, Any], grid: tuple[int, int], gain: float
) -> tuple[int, int, int, int]:
    height, width = image.shape[:2]
    targets = [
        item for item in scene["objects"]
        if item.get("visible") and item["kind"] in ("traffic_light", "speed_sign", "cone") and item.get("box")
    ]  # fmt: skip
    aspect = grid[0] / grid[1]
    h = grid[1] * CELL / gain / float(np.exp(rng.uniform(*np.log(ZOOM))))
    cx, cy = rng.uniform(0, width), rng.uniform(0, height)
    if targets and rng.random() < 0.85:
        kinds = sorted({item["kind"] for item in targets})
        kind = kinds[int(rng.integers(len(kinds)))]
        pool = [item for item in targets if item["kind"] == kind]
        bx0, by0, bx1, by1 = pool[int(rng.integers(len(pool)))]["box"]
        h = max(h, max(by1 - by0, (bx1 - bx0) / aspect) * 1.1)
        slack_x, slack_y = max(h * aspect - (bx1 - bx0), 0) / 2, max(h - (by1 - by0), 0) / 2
        cx = (bx0 + bx1) / 2 + rng.uniform(-slack_x, slack_x)
        cy = (by0 + by1) / 2 + rng.uniform(-slack_y, slack_y)
    h = float(np.clip(h, 12, min(height, width / aspect)))
    w = h * aspect
    x0 = int(np.clip(cx - w / 2, 0, width - w))
    y0 = int(np.clip(cy - h / 2, 0, height - h))
    return x0, y0, x0 + max(int(w), 4), y0 + max(int(h), 4)


def _project(item: Mapping[str, Any], window: tuple[int, int, int, int], size: tuple[int, int]) -> dict[str, Any]:
    x0, y0, x1, y1 = window
    sx, sy = size[0] / (x1 - x0), size[1] / (y1 - y0)
    bx0, by0, bx1, by1 = item["box"]
    clipped = [max(bx0, x0), max(by0, y0), min(bx1, x1), min(by1, y1)]
    area = max(clipped[2] - clipped[0], 0) * max(clipped[3] - clipped[1], 0)
    inside = area / max((bx1 - bx0) * (by1 - by0), 1e-6)
    box = [(clipped[0] - x0) * sx, (clipped[1] - y0) * sy, (clipped[2] - x0) * sx, (clipped[3] - y0) * sy]
    return {**item, "inside": inside, "at_box": box}


def _answers(
    seen: Sequence[Mapping[str, Any]], scene: Mapping[str, Any], gold: Mapping[str, str], *, whole: bool
) -> dict[str, str]:
    answers = {}
    if whole:
        answers = {name: gold[name] for name in ("speed_limit.recommended", "intersection.alert")}
    lights = [i for i in seen if i["kind"] in ("traffic_light", "lamp")]
    governing = [i for i in lights if i["governing"] and i["inside"] > 0.9]
    if not lights:
        answers["traffic_light.state"] = "none"
    elif governing or whole:
        answers["traffic_light.state"] = gold["traffic_light.state"]
    cones = [i for i in seen if i["kind"] == "cone" and i["visible"]]
    if all(i["inside"] > 0.7 for i in cones):
        answers["cone.count"] = count_bin(len(cones))
        if whole or not cones:
            answers["cone.in_path"] = gold["cone.in_path"] if cones else "no"
    signs = [i for i in seen if i["kind"] == "speed_sign"]
    if not signs:
        answers["speed_limit.posted"] = "none"
    elif all(i["inside"] > 0.95 for i in signs) and (signs[0]["visible"] or whole):
        answers["speed_limit.posted"] = gold["speed_limit.posted"]
    # The recommended speed follows from the sign and the cones: where a crop hides either, it cannot be told.
    if any(answers.get(name) != gold[name] for name in ("speed_limit.posted", "cone.in_path")):
        answers.pop("speed_limit.recommended", None)
    return answers


def count_bin(count: int) -> str:
    """Return the answer of `cone.count` for a number of cones."""
    for upper, name in ((0, "0"), (2, "1-2"), (5, "3-5"), (10, "6-10")):
        if count <= upper:
            return name
    return ">10"


def _cells(
    seen: Sequence[Mapping[str, Any]], scene: Mapping[str, Any], grid: tuple[int, int]
) -> dict[str, NDArray[np.int64]]:
    cells = {name: np.zeros((grid[1], grid[0]), dtype=np.int64) for name in CELL_HEADS}
    limit = scene["setting"]["lane_width"] / 2 - 0.2
    for item in sorted(seen, key=lambda i: -i["distance_m"]):
        kind, area = item["kind"], _covered(item["at_box"], grid)
        if kind in JUNCTION_PARTS:
            cells["junction"][area] = np.maximum(cells["junction"][area], JUNCTION_PARTS.index(kind) + 1)
        if not item["visible"]:
            continue
        if kind == "lamp" or (kind == "traffic_light" and item["state"] == "off"):
            cells["lamp"][area] = LAMPS.index(item["state"])
        if kind == "traffic_light":
            cells["governs"][area] = 2 if item["governing"] and item["facing"] else 1
        if kind == "speed_sign":
            cells["sign"][area] = int(item["value"]) // 5
        if kind == "cone":
            x0, _, x1, y1 = item["at_box"]
            row, column = min(int(y1 / CELL), grid[1] - 1), min(int((x0 + x1) / 2 / CELL), grid[0] - 1)
            cells["cone"][row, column] = min(cells["cone"][row, column] + 1, 3)
            if abs(item["lane_offset"]) < limit:
                cells["in_path"][row, column] = 1
    return cells


def _covered(box: Sequence[float], grid: tuple[int, int]) -> tuple[slice, slice]:
    """Return the cells that a box covers by at least a quarter of a cell's side, or the one of its centre."""
    margin = CELL / 4
    columns = [int(max((box[0] + margin) // CELL, 0)), int(min((box[2] - margin) // CELL, grid[0] - 1))]
    rows = [int(max((box[1] + margin) // CELL, 0)), int(min((box[3] - margin) // CELL, grid[1] - 1))]
    if columns[1] < columns[0]:
        columns = [min(int((box[0] + box[2]) / 2 // CELL), grid[0] - 1)] * 2
    if rows[1] < rows[0]:
        rows = [min(int((box[1] + box[3]) / 2 // CELL), grid[1] - 1)] * 2
    return slice(rows[0], rows[1] + 1), slice(columns[0], columns[1] + 1)


def _frame_targets(scene: Mapping[str, Any]) -> dict[str, int]:
    facts = scene["facts"]
    return {
        "light": ("day", "dusk", "night").index(facts["light"]),
        "weather": 2 if facts["fog"] else 1 if facts["rain"] else 0,
        "region": REGIONS.index(scene["setting"]["region"]),
        "default": int(facts["region_default"]) // 5,
        "visibility": sum(facts["visibility_m"] < limit for limit in SIGHT_M),
    }


def camera_noise(rng: np.random.Generator, image: ImageArray) -> ImageArray:
    """Vary exposure, contrast, colour balance, sharpness, sensor noise and JPEG quality as cameras do."""
    pixels = image.astype(np.float32) / 255
    if rng.random() < 0.8:
        pixels = np.clip(pixels, 1e-4, 1) ** rng.uniform(0.75, 1.35)
        pixels = (pixels - 0.5) * rng.uniform(0.75, 1.25) + 0.5 + rng.uniform(-0.08, 0.08)
        pixels = pixels * rng.uniform(0.93, 1.07, size=3).astype(np.float32)
    if rng.random() < 0.3:
        pixels = cv2.GaussianBlur(pixels, (0, 0), float(rng.uniform(0.3, 1.0)))
    if rng.random() < 0.5:
        pixels = pixels + rng.normal(0, rng.uniform(0.003, 0.035), size=pixels.shape).astype(np.float32)
    noisy = (np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    if rng.random() < 0.3:
        _, code = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 90))])
        noisy = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), dtype=np.uint8)
    return noisy


def shaken(rng: np.random.Generator, image: ImageArray) -> ImageArray:
    """Return the whole image a little smaller in a random place, its border stretched, with camera noise: every answer
    stays true."""
    if rng.random() < 0.6:
        high, wide = image.shape[:2]
        scale = rng.uniform(0.86, 1.0)
        shift = rng.uniform(0, 1, size=2) * (1 - scale) * (wide, high)
        move = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float32)
        image = np.asarray(cv2.warpAffine(image, move, (wide, high), borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8)
    return camera_noise(rng, image) if rng.random() < 0.7 else image


def ask(
    rng: np.random.Generator,
    view: View,
    fields: Mapping[str, Field],
    *,
    count: int,
    sensor: str,
    other_sensor: str,
) -> list[tuple[str, str]]:
    """Draw `count` questions of a view as (text, answer).

    Wordings vary; hints and sensor text come in, and the sensor text may contradict the picture. The image governs: a
    contradicting sensor text never changes the answer.
    """
    names = sorted(view.answers)
    chosen = rng.choice(len(names), size=min(count, len(names)), replace=False)
    said = rng.choice(4, p=[0.6, 0.2, 0.1, 0.1])
    prefix = ("", f"{sensor} ", f"{other_sensor} ", "")[said]
    texts = []
    for index in chosen:
        field = fields[names[index]]
        wordings = (field.question, *field.wordings)
        text = wordings[int(rng.integers(len(wordings)))]
        if field.hints and rng.random() < 0.25:
            text = f"{field.hints[int(rng.integers(len(field.hints)))]} {text}"
        texts.append((prefix + text, view.answers[names[index]]))
    return texts
