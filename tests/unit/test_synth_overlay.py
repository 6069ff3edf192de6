"""Pictures for eyes."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageColor

from drivelet.synth.overlay import HUES, SCALE, contact_sheet, draw_overlay, draw_overlays
from render_folders import SIZE, write_render


def test_an_overlay_draws_the_box_of_what_is_seen_and_leaves_out_the_rest(tmp_path: Path) -> None:
    (record,) = write_render(tmp_path, 1)
    thing = {**record["objects"][0], "kind": "cone", "box": [100, 50, 140, 90], "amodal": [100, 50, 140, 90]}
    hue = ImageColor.getrgb(HUES["cone"])
    for visible in (True, False):
        shown = {**record, "objects": [{**thing, "visible": visible}]}
        pixels = np.asarray(draw_overlay(Image.new("RGB", SIZE), shown))
        left = pixels[60 * SCALE : 85 * SCALE, 100 * SCALE]
        assert (left == hue).all() == visible


def test_the_answers_stand_beneath_the_frame(tmp_path: Path) -> None:
    (record,) = write_render(tmp_path, 1)
    drawn = draw_overlay(Image.new("RGB", SIZE), record)
    strip = np.asarray(drawn)[SIZE[1] * SCALE :]
    assert drawn.width == SIZE[0] * SCALE
    assert (strip == 255).any(), "there are letters"
    other = {**record, "gold": {**record["gold"], "cone.count": "changed"}}
    assert not np.array_equal(strip, np.asarray(draw_overlay(Image.new("RGB", SIZE), other))[SIZE[1] * SCALE :])


def test_every_frame_gets_an_overlay_beside_it(tmp_path: Path) -> None:
    write_render(tmp_path / "drives" / "000", 2)
    write_render(tmp_path / "drives" / "001", 1)
    assert draw_overlays(tmp_path) == 3
    found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("overlay/*.png"))
    assert found == ["drives/000/overlay/000000.png", "drives/000/overlay/000001.png", "drives/001/overlay/000000.png"]


def test_a_sheet_is_drawn_by_its_seed_without_repeats(tmp_path: Path) -> None:
    write_render(tmp_path, 9)
    path, names = contact_sheet(tmp_path, seed=5, count=6)
    assert len(set(names)) == 6
    with Image.open(path) as sheet:
        assert sheet.size == (4 * SIZE[0], 2 * SIZE[1])
    assert contact_sheet(tmp_path, seed=5, count=6)[1] == names
    assert any(contact_sheet(tmp_path, seed=seed, count=6)[1] != names for seed in range(6, 9))
    assert len(contact_sheet(tmp_path, seed=5)[1]) == 9, "no more than there are"
