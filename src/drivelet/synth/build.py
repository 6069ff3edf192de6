"""Assembling a scene record: parts (what the renderer places) and objects (what the labels speak of)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

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

    Lengths are metres in the road frame: x right of the centre line, y ahead of the camera, z up.
    """

    rng: np.random.Generator
    retro: float = 0.0
    parts: list[dict[str, Any]] = field(default_factory=list)
    objects: list[dict[str, Any]] = field(default_factory=list)
    _last: int = 0

    def object(self, kind: str, at: Point, **facts: Any) -> int:
        """Register an object and return its id."""
        self._last += 1
        self.objects.append({"kind": kind, "id": self._last, "at": [round(float(v), 3) for v in at], **facts})
        return self._last

    def part(
        self, asset: str, at: Sequence[float], scale: Sequence[float], color: Color = WHITE, *, yaw: float = 0.0,
        roll: float = 0.0, glow: float = 0.0, index: int = 0,
    ) -> None:  # fmt: skip
        """Place one mesh of the renderer's pool."""
        self.parts.append(
            {
                "asset": asset,
                "at": [round(float(v), 4) for v in at],
                "scale": [round(float(v), 4) for v in scale],
                "color": [round(float(v), 4) for v in color],
                "yaw": round(float(yaw), 3),
                "roll": round(float(roll), 3),
                "glow": round(float(glow), 3),
                "index": index,
            }
        )

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
