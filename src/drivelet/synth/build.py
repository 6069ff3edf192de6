"""Assembling a scene record: parts (what the renderer places) and objects (what the labels speak of)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from drivelet.synth.roads.road import Road, turned

Color = tuple[float, float, float]
Point = tuple[float, float, float]

WHITE: Color = (0.8, 0.8, 0.8)
BLACK: Color = (0.02, 0.02, 0.02)
STEEL: Color = (0.25, 0.26, 0.27)
RED: Color = (0.62, 0.02, 0.02)


def pick(rng: np.random.Generator, weights: Mapping[str, float]) -> str:
    """Draw a key in proportion to its weight."""
    names = list(weights)
    odds = np.array([weights[name] for name in names], dtype=float)
    return names[int(rng.choice(len(names), p=odds / odds.sum()))]


def shade(rng: np.random.Generator, color: Color, spread: float = 0.15) -> Color:
    """Vary a colour's brightness and, less, its hue."""
    gain = 1 + rng.uniform(-spread, spread)
    r, g, b = (float(np.clip(c * gain * (1 + rng.uniform(-spread, spread) / 3), 0, 1)) for c in color)
    return (r, g, b)


@dataclass
class Builder:
    """Collects parts and objects of one scene; ids are instance indices of the renderer, from 1.

    Lengths are metres in road coordinates: d right of the centre line, s ahead of the camera, height above the surface.
    With a `road` that bends, records get the scene's frame (x right, y ahead, z up), and objects their `s` and `d`.
    """

    rng: np.random.Generator
    retro: float = 0.0
    road: Road | None = None
    kept: list[tuple[float, float, float, float]] = field(default_factory=list)
    parts: list[dict[str, Any]] = field(default_factory=list)
    objects: list[dict[str, Any]] = field(default_factory=list)
    _last: int = 0

    def object(self, kind: str, at: Point, **facts: Any) -> int:
        """Register an object and return its id."""
        self._last += 1
        where = self.place(at)
        if self.road is not None and self.road.kind != "street":
            facts = {**facts, "s": round(float(at[1]), 3), "d": round(float(at[0]), 3)}
        self.objects.append({"kind": kind, "id": self._last, "at": [round(float(v), 3) for v in where], **facts})
        return self._last

    def place(self, at: Sequence[float]) -> Sequence[float]:
        """(d, s, height) in the scene's frame."""
        return at if self.road is None else self.road.place(at[0], at[1], at[2])

    def keep(self, d: tuple[float, float], s: tuple[float, float]) -> None:
        """Keep a rectangle of the road clear of what is placed later: vehicles, trees, street lamps."""
        self.kept.append((*d, *s))

    def clear(self, d: float, s: float, margin: float = 0.0) -> bool:
        """Whether a place is clear of all that was kept."""
        return not any(a - margin < d < b + margin and p - margin < s < q + margin for a, b, p, q in self.kept)

    def free(self, d: float, s: float, margin: float = 0.0) -> bool:
        """Whether a vehicle with its centre there stands on the road and clear of all that was kept."""
        ends = math.inf if self.road is None else self.road.ends
        return s < ends - 4.0 and self.clear(d, s, margin)

    def part(
        self, asset: str, at: Sequence[float], scale: Sequence[float], color: Color = WHITE, *, yaw: float = 0.0,
        roll: float = 0.0, glow: float = 0.0, index: int = 0,
    ) -> None:  # fmt: skip
        """Place one mesh of the renderer's pool."""
        pitch = 0.0
        if self.road is not None and not self.road.straight:
            yaw, pitch, roll = turned(self.road, at[1], yaw, roll)
        self.parts.append(
            {
                "asset": asset,
                "at": [round(float(v), 4) for v in self.place(at)],
                "scale": [round(float(v), 4) for v in scale],
                "color": [round(float(v), 4) for v in color],
                "yaw": round(float(yaw), 3),
                "roll": round(float(roll), 3),
                "glow": round(float(glow), 3),
                "index": index,
                **({"pitch": round(float(pitch), 3)} if pitch else {}),
            }
        )

    def sweep(
        self, line: Sequence[Point], profile: Sequence[tuple[float, float]], color: Color, *, material: str = "marking",
        dash: tuple[float, float] | None = None, index: int = 0,
    ) -> None:  # fmt: skip
        """A cross-section (to the right, up) that follows a line given in the scene's frame, whole or in dashes.

        The renderer makes a mesh of it for this scene alone; `dash` is (length, gap) in metres.
        """
        self._made("sweep", line, color, material, index)
        self.parts[-1]["profile"] = [[round(float(a), 3), round(float(b), 3)] for a, b in profile]
        if dash:
            self.parts[-1]["dash"] = [round(float(v), 3) for v in dash]

    def patch(
        self, outline: Sequence[Point], color: Color, *, material: str = "marking", drop: float = 0.0, index: int = 0
    ) -> None:
        """A polygon with its outline in the scene's frame; `drop` gives it walls down to the ground."""
        self._made("patch", outline, color, material, index)
        if drop:
            self.parts[-1]["drop"] = round(float(drop), 3)

    def _made(self, asset: str, points: Sequence[Point], color: Color, material: str, index: int) -> None:
        self.parts.append(
            {
                "asset": asset, "at": [0.0, 0.0, 0.0], "scale": [1.0, 1.0, 1.0],
                "color": [round(float(v), 4) for v in color], "yaw": 0.0, "roll": 0.0, "glow": 0.0, "index": index,
                "material": material, "points": [[round(float(v), 3) for v in point] for point in points],
            }
        )  # fmt: skip

    def sheet(
        self, asset: str, at: Point, size: tuple[float, float], color: Color, *, yaw: float, layer: int, index: int
    ) -> None:
        """Place a flat figure of a sign; `layer` lifts it a centimetre each towards the driver."""
        lift = 0.012 * layer
        turn = math.radians(yaw)
        spot = (at[0] + lift * math.sin(turn), at[1] - lift * math.cos(turn), at[2])
        self.part(asset, spot, (size[0], 1, size[1]), color, yaw=yaw, glow=self.retro, index=index)

    def pole(self, x: float, y: float, height: float, width: float = 0.09, color: Color = STEEL) -> None:
        """A vertical pole standing on the ground."""
        self.part("pole", (x, y, 0), (width, width, height), color)
