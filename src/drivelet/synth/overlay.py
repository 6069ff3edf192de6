"""Pictures for eyes: labels drawn on rendered frames, and a sheet of frames chosen at random."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from drivelet.core.errors import InputError
from drivelet.core.images import image_size, read_image
from drivelet.core.rng import generator
from drivelet.synth.records import rendered_frames

SCALE = 3
"""Pixels of an overlay for each of the frame: a frame of 320x192 leaves no room for words."""
TEXT_PX = 13
HUES = {
    "lamp": "#ffffff", "traffic_light": "#ffd23f", "cone": "#ff7a1a", "speed_sign": "#ff4fa3", "stop_sign": "#ff2d2d",
    "cross_street": "#7fd1ff", "crosswalk": "#7fd1ff", "stop_line": "#7fd1ff", "car": "#8ee36b", "truck": "#8ee36b",
    "person": "#c79bff", "cyclist": "#c79bff",
}  # fmt: skip
OTHER_HUE = "#b0b0b0"
SHEET_COLUMNS = 4


def draw_overlays(folder: Path) -> int:
    """Write `overlay/NAME.png` for every frame of a render folder, or of its drives; return how many there are.

    Raises:
        InputError: there are no rendered frames.
    """
    count = 0
    for image, record in rendered_frames(folder):
        count += 1
        beside = image.parent.parent / "overlay"
        beside.mkdir(exist_ok=True)
        draw_overlay(Image.fromarray(read_image(image)), record).save(beside / image.name)
    return count


def draw_overlay(picture: Image.Image, record: Mapping[str, Any]) -> Image.Image:
    """Return a frame with its labels: boxes of what is seen (amodal ones thin), ids, distances, facts, gold answers."""
    font = ImageFont.load_default(size=TEXT_PX)
    lines = _lines(record)
    width, height = picture.width * SCALE, picture.height * SCALE
    drawn = Image.new("RGB", (width, height + (TEXT_PX + 5) * len(lines) + 6))
    drawn.paste(picture.convert("RGB").resize((width, height), Image.Resampling.NEAREST))
    pen = ImageDraw.Draw(drawn)
    for item in sorted(record["objects"], key=lambda item: -item["distance_m"]):
        if item["visible"]:
            _draw_object(pen, item, font)
    for number, line in enumerate(lines):
        pen.text((6, height + 4 + (TEXT_PX + 5) * number), line, fill="white", font=font)
    return drawn


def _draw_object(pen: ImageDraw.ImageDraw, item: Mapping[str, Any], font: Any) -> None:
    hue = HUES.get(item["kind"], OTHER_HUE)
    box = [SCALE * value for value in item["box"]]
    if item.get("amodal"):
        pen.rectangle([SCALE * value for value in item["amodal"]], outline=hue, width=1)
    pen.rectangle(box, outline=hue, width=3 if item.get("governing") else 2)
    word = str(item.get("state") or item.get("value") or item["kind"].replace("_", " "))
    text = f"{item['id']} {word} {item['distance_m']:.0f} m"
    x, y = box[0], max(box[1] - TEXT_PX - 3, 0)
    pen.rectangle(pen.textbbox((x, y), text, font=font), fill="black")
    pen.text((x, y), text, fill=hue, font=font)


def _lines(record: Mapping[str, Any]) -> list[str]:
    """What stands beneath a frame."""
    facts, answers = record["facts"], list(record.get("gold", {}).items())
    closed = ", closed lanes " + " ".join(map(str, facts["closed_lanes"])) if facts.get("closed_lanes") else ""
    lines = [f"{record['id']}: {record['text']}{closed}"]
    return lines + [
        "   ".join(f"{name} {label}" for name, label in answers[i : i + 3]) for i in range(0, len(answers), 3)
    ]


def contact_sheet(folder: Path, *, seed: int, count: int = 24) -> tuple[Path, Sequence[str]]:
    """Write `sheet.jpg`, `count` frames of a render folder drawn without replacement; return it and their names.

    Raises:
        InputError: there are no rendered frames.
    """
    images = [image for image, _ in rendered_frames(folder)]
    order = generator(seed, "contact sheet").permutation(len(images))[:count]
    chosen = [images[int(i)] for i in np.sort(order)]
    if not chosen:
        raise InputError(f"{folder}: no rendered frames; run `drivelet render --out {folder}` first")
    width, height = image_size(chosen[0])
    rows = -(-len(chosen) // SHEET_COLUMNS)
    sheet = Image.new("RGB", (width * min(SHEET_COLUMNS, len(chosen)), height * rows))
    for number, image in enumerate(chosen):
        place = (number % SHEET_COLUMNS * width, number // SHEET_COLUMNS * height)
        sheet.paste(Image.fromarray(read_image(image)).resize((width, height)), place)
    sheet.save(folder / "sheet.jpg", quality=90)
    return folder / "sheet.jpg", [image.relative_to(folder).as_posix() for image in chosen]
