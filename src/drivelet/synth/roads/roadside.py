"""What lines the roads of the world edition beyond the ego road's own sides: crossing streets, closed ends, exits."""

from typing import Any

from drivelet.synth.build import STEEL, WHITE, Builder, shade
from drivelet.synth.roads import scenery
from drivelet.synth.roads.road import Road
from drivelet.synth.roads.world import FAST_ROADS, Layout

TALL = {"block_a": (8.0, 13.0), "block_b": (15.0, 24.0)}
GREEN = (0.01, 0.16, 0.09)
BLUE = (0.01, 0.1, 0.4)


def roadside(b: Builder, road: Road, layout: Layout) -> None:
    """Buildings and trees along every street in sight, and sign bridges over fast roads."""
    junction = layout.junction
    scenery.surroundings(b, road, _gap(road, junction))
    if junction:
        _along_street(b, road, junction)
    if road.kind in FAST_ROADS:
        _bridge(b, road, layout)


def _gap(road: Road, junction: dict[str, Any] | None) -> dict[str, Any] | None:
    """The stretch without buildings: the crossing street, or all from there on where the road ends."""
    if junction is None:
        return None
    if road.kind == "roundabout":
        reach = junction["radius"] + 7.0
        return {"stop_y": junction["middle_y"] - reach, "end_y": junction["middle_y"] + reach}
    ahead = "ahead" in junction["arms"]
    return {"stop_y": junction["near_y"] - 5.0, "end_y": junction["end_y"] + 5.0 if ahead else 500.0}


def _along_street(b: Builder, road: Road, junction: dict[str, Any]) -> None:
    """Fronts behind the far side of the crossing street, and on its near side beyond the ego road's own rows."""
    far = junction["end_y"] + (3.4 if road.kind != "roundabout" else 14.0)
    near = junction.get("near_y", junction["stop_y"] - 12.0) - 3.4
    ahead = "ahead" in junction["arms"]
    for side in (-1, 1):
        start = road.half + 24.0 if ahead else 0.0
        for k in range(3 if ahead else 4):
            _front(b, road, side, start + 20.0 * k + (0 if ahead else 10.0), far, 1)
        arm = "left" if side < 0 else "right"
        if arm in junction["arms"]:
            for k in range(2):
                _front(b, road, side, road.half + 34.0 + 22.0 * k, near, -1)
        else:  # the side without a street shows a front where the gap of the rows is
            middle = (junction["near_y"] + junction["end_y"]) / 2
            _block(b, road, side * (road.half + 12.0), middle, (14.0, 14.0), turn=False)


def _front(b: Builder, road: Road, side: int, d: float, s: float, way: int) -> None:
    rng = b.rng
    depth = float(rng.uniform(10, 14))
    set_back = float(rng.uniform(0.3, 2.5)) + (5.0 if road.area == "suburban" else 0.0)
    _block(b, road, side * d, s + way * (set_back + depth / 2), (float(rng.uniform(13, 18)), depth), turn=True)


def _block(b: Builder, road: Road, d: float, s: float, size: tuple[float, float], *, turn: bool) -> None:
    rng = b.rng
    tone = shade(rng, scenery.WALLS[int(rng.integers(len(scenery.WALLS)))], 0.25)
    if road.area == "urban":
        asset = str(rng.choice(list(TALL)))
        b.part(asset, (d, s, 0), (*size, float(rng.uniform(*TALL[asset]))), tone)
    elif road.area == "suburban":
        b.part("house", (d, s, 0), (10.0, 9.0, float(rng.uniform(6, 8.5))), tone, yaw=0.0 if turn else 90.0)
    else:
        green = shade(rng, scenery.LEAVES[int(rng.integers(len(scenery.LEAVES)))], 0.3)
        tall = float(rng.uniform(5, 9))
        b.part(str(rng.choice(["tree", "pine"])), (d, s + 2.0, 0), (tall, tall, tall), green)


def _bridge(b: Builder, road: Road, layout: Layout) -> None:
    """A sign bridge (or a sign at the exit) with plates that name no limit."""
    rng = b.rng
    plate = GREEN if road.region != "eu" or rng.random() < 0.3 else BLUE
    if layout.leave:
        s = layout.leave["nose_y"] + 24.0
        at = (road.half + 1.6, s, 2.4)
        _plate(b, at, (2.6, 1.5), plate, arrow=True)
        for x in (-0.9, 0.9):
            b.pole(at[0] + x, s + 0.1, 2.4, 0.09)
    if rng.random() < 0.6:
        s, top = float(rng.uniform(34, 75)), 6.6
        low, high = road.median / 2 - 0.4, road.half + (6.5 if layout.leave else 1.2)
        for d in (low, high):
            b.pole(d, s, top + 0.9, 0.3)
        for up in (0.0, 0.8):
            b.part("box", ((low + high) / 2, s, top + up), (high - low, 0.15, 0.15), STEEL)
        for lane in range(road.lanes):
            if rng.random() < 0.75:
                _plate(b, (road.lane_d(lane), s - 0.2, top + 0.4), (3.0, 1.9), plate, arrow=rng.random() < 0.5)


def _plate(b: Builder, at: tuple[float, float, float], size: tuple[float, float], tone: Any, *, arrow: bool) -> None:
    b.sheet("panel", at, size, WHITE, yaw=0.0, layer=1, index=0)
    b.sheet("panel", at, (0.96 * size[0], 0.94 * size[1]), tone, yaw=0.0, layer=2, index=0)
    for rise, wide in ((0.22, 0.7), (0.0, 0.5)):
        spot = (at[0] - (0.1 * size[0] if arrow else 0.0), at[1], at[2] + rise * size[1])
        b.sheet("panel", spot, (wide * 0.8 * size[0], 0.12 * size[1]), WHITE, yaw=0.0, layer=3, index=0)
    if arrow:
        spot = (at[0] + 0.36 * size[0], at[1] - 0.04, at[2] - 0.2 * size[1])
        b.part("triangle", spot, (0.4 * size[1], 1, 0.4 * size[1]), WHITE, roll=30.0, glow=b.retro)
