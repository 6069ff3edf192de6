"""Which of several cameras is the one that looks ahead, told by what it is called; never by count or by place."""

import re
from collections.abc import Collection

ODD = (
    "depth", "disparity", "infra", "thermal", "segment", "mask", "label", "annotat", "overlay", "debug", "visual",
    "heatmap", "feature", "detect", "thumbnail", "preview", "lidar", "radar", "intensity", "reflec", "costmap",
    "occupancy", "confidence", "events", "ir", "nir", "lwir", "swir", "bev", "map",
)  # fmt: skip
"""Words of pictures that are no camera's view of the road; short ones count as whole words only."""
AHEAD = ("front", "forward", "fwd", "ahead")
SIDE = ("left", "right", "side", "fl", "fr")
BEHIND = ("rear", "back", "behind", "backward", "rl", "rr", "bl", "br")
INSIDE = ("cabin", "interior", "inward", "dms", "occupant", "selfie")
NARROW = ("tele", "narrow", "fisheye", "zoom")
COLOUR = ("color", "colour", "rgb")
GREY = ("mono", "gray", "grey")
NOT_SIDE = ("bright", "upright", "copyright")

Rank = tuple[int, int, int, int, str]


def camera_rank(name: str, form: str = "") -> Rank:
    """Return a key that sorts the camera to use first: a colour view ahead before all others, equals by name.

    Args:
        name: of a topic, channel or folder.
        form: the encoding of its pictures, where this is known: depth maps are numbers of 16 or 32 bits.
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    words = re.findall(r"[a-z]+", spaced)
    odd = _any(words, ODD) or form.lower() in ("16uc1", "32fc1")
    direction = 0 if _any(words, AHEAD) else 1
    if _any([word for word in words if word not in NOT_SIDE], SIDE):
        direction = 3 - (direction == 0)
    if _any(words, BEHIND) or _any(words, INSIDE):
        direction = 4
    tone = 0 if _any(words, COLOUR) else 2 if _any(words, GREY) else 1
    return int(odd), direction, int(_any(words, NARROW)), tone, name


def _any(words: Collection[str], known: Collection[str]) -> bool:
    return any(
        word == part or (len(part) > 3 and part in word and (part != "back" or word.startswith(part)))
        for word in words
        for part in known
    )


def chosen_of(chosen: str, others: Collection[str], most: int = 6) -> str:
    """Return the sentence on a choice among several cameras, empty where there was none."""
    if not others:
        return ""
    names = [*sorted(others)[:most], *([f"{len(others) - most} more"] if len(others) > most else [])]
    return f"camera {chosen}, not {', '.join(names)}: another with --set camera=NAME"
