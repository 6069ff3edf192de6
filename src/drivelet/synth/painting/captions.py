"""What a painted picture is asked to show, as facts and as the caption that states them."""

from collections.abc import Mapping, Sequence

import numpy as np

Facts = Mapping[str, str]
"""`traffic_light.state`, `cone.count` and `speed_limit.posted` (fields), and `light`, `weather`, `view` (setting); any
may be missing."""

LAMP, CONES, POSTED, LIGHT = "traffic_light.state", "cone.count", "speed_limit.posted", "light"
LAMP_WORDS = {
    "red": "red traffic light",
    "yellow": "yellow traffic light",
    "green": "green traffic light",
    "off": "dark traffic light",
    "none": "no traffic light",
}
CONE_WORDS = {"0": "no cones", "1-2": "few cones", "3-5": "several cones", "6-10": "many cones", ">10": "many cones",
              "some": "some cones"}  # fmt: skip
STRATA = tuple((lamp, cones) for lamp in ("red", "yellow", "green", "none") for cones in ("0", "some"))
"""What the loop balances: lamp state by cone presence."""
LIGHTS = ("day", "dusk", "night")
WEATHERS = ("clear", "overcast", "fog", "rain")
VIEWS = ("close", "near", "wide")
"""A zoom on one thing, a picture of lamp and road, a street."""


def caption(facts: Facts, *, style: str = "") -> str:
    """Return the caption that states `facts`, ending in `style` where there is one; equal facts give equal captions."""
    setting = " ".join(facts[name] for name in ("view", LIGHT, "weather") if facts.get(name))
    parts = [f"{setting} street".strip()]
    if LAMP in facts:
        parts.append(LAMP_WORDS[facts[LAMP]])
    if CONES in facts:
        parts.append(CONE_WORDS[facts[CONES]])
    if facts.get(POSTED, "none") != "none":
        parts.append(f"speed limit {facts[POSTED]} sign")
    return ", ".join([*parts, style] if style else parts)


def vocabulary() -> list[str]:
    """Return texts that hold every word of every caption."""
    words = [*LAMP_WORDS.values(), *CONE_WORDS.values(), *LIGHTS, *WEATHERS, *VIEWS, "street,"]
    return [*words, "a the with and of in on at traffic light cone sign car road lane stop speed limit intersection"]


def presence(cones: str) -> str:
    """Return `0` or `some` for an answer of `cone.count`."""
    return "0" if cones == "0" else "some"


def draw_facts(
    stratum: Sequence[str],
    rng: np.random.Generator,
    *,
    views: Sequence[str] = ("near",),
    posted: Sequence[str] = (),
) -> dict[str, str]:
    """Complete a stratum (lamp, cones) with a drawn setting; `some` becomes a count word that captions know.

    With values in `posted` the picture is also asked to show a speed sign of one of them.
    """
    lamp, cones = stratum
    drawn = {
        "view": str(rng.choice(list(views))),
        LIGHT: str(rng.choice(LIGHTS, p=(0.5, 0.2, 0.3))),
        "weather": str(rng.choice(WEATHERS, p=(0.55, 0.25, 0.1, 0.1))),
        LAMP: lamp,
        CONES: str(rng.choice(["1-2", "3-5", "6-10"])) if cones == "some" else cones,
    }
    return {**drawn, POSTED: str(rng.choice(list(posted)))} if posted else drawn
