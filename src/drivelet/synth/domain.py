"""What a renderer's scenes are drawn from: the narrow and the full domain as plain data."""

from dataclasses import dataclass, field


def _even(*names: str) -> dict[str, float]:
    return dict.fromkeys(names, 1.0)


@dataclass(frozen=True, kw_only=True)
class DomainConfig:
    """Marginals of the scene sampler. Dicts are weights (they need not sum to 1); pairs are (low, high) ranges.

    Attributes:
        name: goes into every scene record.
        light: day, dusk, night.
        weather: clear, overcast, fog, rain.
        region: eu (ring signs in km/h, white centre line) or us (plates in mph, yellow centre line).
        area: urban, suburban, rural.
        lanes: lanes in each direction: "1", "2", "3".
        lamp: state of the governing light, or none.
        mount: how lights are mounted: pole, mast, wire.
        cones: classes of the cone count; `cones_in_path` is the share of coned scenes that narrow the ego lane.
        posted: probability that a speed sign stands there; its value is uniform over the region's values.
        lamp_m: distance of the governing light in metres; `lamp_far` is the share drawn from beyond the range.
        sign_px: height of the speed sign in pixels; `sign_far` is the share that is drawn smaller.
        cone_m: distance of the cones in metres.
        extra_heads: probability of lights that do not govern the ego lane.
        traffic: mean number of other vehicles.
        distractors: probability of each kind of thing that resembles a target (other signs, rear lights, workers).
    """

    name: str = "full"
    light: dict[str, float] = field(default_factory=lambda: {"day": 0.55, "dusk": 0.2, "night": 0.25})
    weather: dict[str, float] = field(
        default_factory=lambda: {"clear": 0.5, "overcast": 0.25, "fog": 0.13, "rain": 0.12}
    )
    region: dict[str, float] = field(default_factory=lambda: _even("eu", "us"))
    area: dict[str, float] = field(default_factory=lambda: {"urban": 0.45, "suburban": 0.3, "rural": 0.25})
    lanes: dict[str, float] = field(default_factory=lambda: {"1": 0.5, "2": 0.35, "3": 0.15})
    lamp: dict[str, float] = field(
        default_factory=lambda: {"red": 0.22, "yellow": 0.18, "green": 0.22, "off": 0.1, "none": 0.28}
    )
    mount: dict[str, float] = field(default_factory=lambda: {"pole": 0.45, "mast": 0.4, "wire": 0.15})
    cones: dict[str, float] = field(
        default_factory=lambda: {"0": 0.3, "1-2": 0.175, "3-5": 0.175, "6-10": 0.175, ">10": 0.175}
    )
    cones_in_path: float = 0.5
    posted: float = 0.7
    lamp_m: tuple[float, float] = (10.0, 27.0)
    lamp_far: float = 0.2
    sign_px: tuple[float, float] = (18.0, 44.0)
    sign_far: float = 0.12
    cone_m: tuple[float, float] = (5.5, 32.0)
    extra_heads: float = 0.4
    traffic: float = 2.5
    distractors: float = 0.2


def full() -> DomainConfig:
    """Everything: day to night, fog and rain, both sign styles, near and far."""
    return DomainConfig()


def narrow() -> DomainConfig:
    """A clear day, near objects, one sign style, one mount, one light at a time."""
    return DomainConfig(
        name="narrow",
        light={"day": 1.0},
        weather={"clear": 1.0},
        region={"eu": 1.0},
        area={"urban": 0.5, "suburban": 0.5},
        lanes={"1": 0.7, "2": 0.3},
        mount={"pole": 1.0},
        lamp_m=(9.0, 17.0),
        lamp_far=0.0,
        sign_px=(24.0, 44.0),
        sign_far=0.0,
        cone_m=(5.5, 22.0),
        extra_heads=0.0,
        traffic=1.0,
        distractors=0.05,
    )


DOMAINS = {"full": full, "narrow": narrow}
