"""What a renderer's scenes are drawn from: four domains as plain data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from drivelet.core.errors import InputError
from drivelet.core.ranges import Amount, OwnWeights, Quality, Share, Span, Weights, ranged


def _even(*names: str) -> dict[str, float]:
    return dict.fromkeys(names, 1.0)


KNOWN: Mapping[str, Sequence[str]] = {
    "light": ("day", "dusk", "night"),
    "weather": ("clear", "overcast", "fog", "rain"),
    "region": ("eu", "us", "cn"),
    "area": ("urban", "suburban", "rural"),
    "lanes": ("1", "2", "3"),
    "lamp": ("red", "yellow", "green", "off", "none"),
    "mount": ("pole", "mast", "wire", "overhead"),
    "cones": ("0", "1-2", "3-5", "6-10", ">10"),
    "roads": ("street", "straight", "curve", "tee", "cross", "roundabout", "highway", "ramp", "crest"),
    "channelisers": ("none", "drums", "posts", "barrier"),
    "signal_kinds": ("ball", "arrow_left", "arrow_right", "arrow_straight"),
    "signal_layout": ("vertical", "horizontal"),
    "sign_styles": ("eu", "us", "cn"),
    "plates": ("limit", "end", "school", "work_zone"),
}
"""The names that may have a weight."""


@dataclass(frozen=True, kw_only=True)
@ranged
class DomainConfig:
    """Marginals of the scene sampler. Dicts are weights (they need not sum to 1); pairs are (low, high) ranges.

    Attributes:
        name: goes into every scene record.
        light: day, dusk, night.
        weather: clear, overcast, fog, rain.
        region: eu (ring signs in km/h, white centre line), us (plates in mph, yellow centre line) or cn (ring signs in
            km/h, yellow centre line).
        area: urban, suburban, rural.
        lanes: lanes in each direction: "1", "2", "3".
        lamp: state of the governing light, or none.
        mount: how lights are mounted: pole, mast, wire, overhead (a bridge of lattice; on roads of the world edition).
        cones: classes of the cone count; `cones_in_path` is the share of coned scenes that narrow the ego lane.
        posted: probability that a speed sign stands there; its value is uniform over the region's values.
        lamp_m: distance of the governing light in metres; `lamp_far` is the share drawn from beyond the range.
        sign_px: height of the speed sign in pixels; `sign_far` is the share that is drawn smaller.
        cone_m: distance of the cones in metres.
        extra_heads: probability of lights that do not govern the ego lane.
        traffic: mean number of other vehicles.
        distractors: probability of each kind of thing that resembles a target (other signs, rear lights, workers).
        roads: kinds of road: street (straight, with or without a crossing street), straight, curve, tee, cross,
            roundabout, highway, ramp, crest.
        curve_m: radius of a curve in a town, in metres; suburban ones are 1.5 times as wide, rural ones 2.5 times.
        closures: share of coned scenes, on roads of two lanes or more, whose cones close a lane with a taper.
        channelisers: weights of what stands beside the cones of a closure: none, drums, posts, barrier.
        occluders: share of scenes where a truck is to hide a part of the governing light or of the speed sign; a place
            for it is found in about three of ten.
        signal_kinds: lamps of the governing light: ball, arrow_left, arrow_right, arrow_straight.
        signal_layout: vertical, horizontal; empty: vertical, but for a few that hang.
        flashing: probability that a governing yellow or red light flashes.
        sign_styles: style of the signs: eu, us, cn; empty: the region's own.
        plates: what a speed sign says: limit, end (of a limit), school, work_zone.
        pedestrians, cyclists: mean numbers.
        glare: probability of a low sun in view, on clear days and at dusk.
        dirty_lens: probability of dirt or drops on the windscreen.
        jpeg: range of the JPEG quality that the picture goes through; 100 means never compressed.
        camera_noise: range of the factor on the sensor noise of the light.
    """

    name: str = "full"
    light: Weights = field(default_factory=lambda: {"day": 0.55, "dusk": 0.2, "night": 0.25})
    weather: Weights = field(default_factory=lambda: {"clear": 0.5, "overcast": 0.25, "fog": 0.13, "rain": 0.12})
    region: Weights = field(default_factory=lambda: _even("eu", "us"))
    area: Weights = field(default_factory=lambda: {"urban": 0.45, "suburban": 0.3, "rural": 0.25})
    lanes: Weights = field(default_factory=lambda: {"1": 0.5, "2": 0.35, "3": 0.15})
    lamp: Weights = field(
        default_factory=lambda: {"red": 0.22, "yellow": 0.18, "green": 0.22, "off": 0.1, "none": 0.28}
    )
    mount: Weights = field(default_factory=lambda: {"pole": 0.45, "mast": 0.4, "wire": 0.15})
    cones: Weights = field(default_factory=lambda: {"0": 0.3, "1-2": 0.175, "3-5": 0.175, "6-10": 0.175, ">10": 0.175})
    cones_in_path: Share = 0.5
    posted: Share = 0.7
    lamp_m: Span = (10.0, 27.0)
    lamp_far: Share = 0.2
    sign_px: Span = (18.0, 44.0)
    sign_far: Share = 0.12
    cone_m: Span = (5.5, 32.0)
    extra_heads: Share = 0.4
    traffic: Amount = 2.5
    distractors: Share = 0.2
    roads: Weights = field(default_factory=lambda: _even("street"))
    curve_m: Span = (45.0, 140.0)
    closures: Share = 0.0
    channelisers: Weights = field(default_factory=lambda: _even("none"))
    occluders: Share = 0.0
    signal_kinds: Weights = field(default_factory=lambda: _even("ball"))
    signal_layout: OwnWeights = field(default_factory=dict)
    flashing: Share = 0.0
    sign_styles: OwnWeights = field(default_factory=dict)
    plates: Weights = field(default_factory=lambda: _even("limit"))
    pedestrians: Amount = 0.0
    cyclists: Amount = 0.0
    glare: Share = 0.0
    dirty_lens: Share = 0.0
    jpeg: tuple[Quality, Quality] = (100, 100)
    camera_noise: Span = (0.4, 1.2)

    def __post_init__(self) -> None:
        for name, known in KNOWN.items():
            strange = sorted(getattr(self, name).keys() - set(known))
            if strange:
                raise InputError(f"DomainConfig.{name}: {strange[0]!r} is none of {', '.join(known)}")


def full() -> DomainConfig:
    """Everything: day to night, fog and rain, both sign styles, near and far."""
    return DomainConfig()


_NEAR: dict[str, Any] = {
    "light": {"day": 1.0},
    "weather": {"clear": 1.0},
    "region": {"eu": 1.0},
    "area": {"urban": 0.5, "suburban": 0.5},
    "lanes": {"1": 0.7, "2": 0.3},
    "mount": {"pole": 1.0},
    "lamp_m": (9.0, 17.0),
    "lamp_far": 0.0,
    "sign_px": (24.0, 44.0),
    "sign_far": 0.0,
    "cone_m": (5.5, 22.0),
    "extra_heads": 0.0,
    "traffic": 1.0,
    "distractors": 0.05,
}


def narrow() -> DomainConfig:
    """A clear day, near objects, one sign style, one mount, one light at a time."""
    return DomainConfig(name="narrow", **_NEAR)


def world() -> DomainConfig:
    """The second edition: all kinds of road and signal, three sign styles, people, closures, and a real camera."""
    return DomainConfig(
        name="world",
        region=_even("eu", "us", "cn"),
        roads={
            "straight": 0.12,
            "curve": 0.14,
            "tee": 0.15,
            "cross": 0.27,
            "roundabout": 0.08,
            "highway": 0.1,
            "ramp": 0.06,
            "crest": 0.08,
        },
        mount={"pole": 0.4, "mast": 0.35, "wire": 0.1, "overhead": 0.15},
        lamp={"red": 0.25, "yellow": 0.21, "green": 0.25, "off": 0.11, "none": 0.18},
        closures=0.5,
        channelisers={"none": 0.4, "drums": 0.25, "posts": 0.15, "barrier": 0.2},
        occluders=0.25,
        signal_kinds={"ball": 0.7, "arrow_left": 0.1, "arrow_right": 0.08, "arrow_straight": 0.12},
        signal_layout={"vertical": 0.8, "horizontal": 0.2},
        flashing=0.08,
        plates={"limit": 0.7, "end": 0.1, "school": 0.1, "work_zone": 0.1},
        pedestrians=0.8,
        cyclists=0.3,
        glare=0.12,
        dirty_lens=0.1,
        jpeg=(60, 100),
        camera_noise=(0.3, 2.0),
    )


def town() -> DomainConfig:
    """The part of the world that `student-mini` starts from: European streets on a clear day, near objects."""
    return replace(
        world(),
        name="town",
        **_NEAR,
        roads={"straight": 0.25, "curve": 0.15, "tee": 0.2, "cross": 0.4},
        closures=0.25,
        channelisers=_even("none"),
        occluders=0.0,
        signal_kinds=_even("ball"),
        signal_layout=_even("vertical"),
        flashing=0.0,
        plates=_even("limit"),
        glare=0.0,
        dirty_lens=0.0,
        jpeg=(85, 100),
        camera_noise=(0.3, 1.0),
    )


DOMAINS = {"full": full, "narrow": narrow, "world": world, "town": town}
