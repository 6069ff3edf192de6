"""The colour-and-shape labeler: lit lamps and orange cones, with no learned weights."""

from collections.abc import Mapping

import numpy as np

from drivelet.core.artifacts import UNKNOWN, Box, Field, ImageArray
from drivelet.labels.cones import count_vote, find_cones, in_path_vote, spread
from drivelet.labels.lamps import find_lamps, frame_evidence, head_evidence, is_head

LAMP, COUNT, IN_PATH = "traffic_light.state", "cone.count", "cone.in_path"
SPREAD = 0.06
"""Share of every vote that is spread over all choices: a rule of thumb is never certain."""


class ColourLabeler:
    """Votes on the lamp's colour, the number of cones and cones in the path.

    A small upright image is taken for the crop of a lamp head: there it votes on the lamp alone.

    Args:
        fields: fields by name; those it knows nothing of are passed over.
    """

    name = "colour"
    family = "colour"

    def __init__(self, fields: Mapping[str, Field]) -> None:
        self._specs = {name: fields[name] for name in (LAMP, COUNT, IN_PATH) if name in fields}
        self.fields = tuple(self._specs)

    def label(self, image: ImageArray) -> Mapping[str, Mapping[str, float]]:
        """Return probabilities for the fields it can judge on this image."""
        votes: dict[str, dict[str, float]] = {}
        if LAMP in self._specs:
            votes[LAMP] = _head(image) if is_head(image) else _frame(image)
        if not is_head(image):
            cones = find_cones(image)
            if COUNT in self._specs:
                votes[COUNT] = count_vote(self._specs[COUNT], cones)
            if IN_PATH in self._specs:
                votes[IN_PATH] = in_path_vote(cones)
        return {name: spread(vote, self._specs[name], SPREAD) for name, vote in votes.items()}

    def detect(self, image: ImageArray) -> list[Box]:
        """Return lit lamps (their colour as answer) and cones in pixels of this image; nothing on a head's crop.

        Cones that touch share a box.
        """
        if is_head(image):
            return []
        lamps = [("lamp", lamp.box, lamp.likeness, lamp.colour) for lamp in find_lamps(image)]
        cones = [("cone", cone.box, cone.likeness, "") for cone in find_cones(image)]
        height, width = image.shape[:2]
        return [
            Box(kind=kind, xyxy=(x0 * width, y0 * height, x1 * width, y1 * height), score=score, answer=answer)
            for kind, (x0, y0, x1, y1), score, answer in (*lamps, *cones)
        ]


def _head(image: ImageArray) -> dict[str, float]:
    evidence = {name: value**2 for name, value in head_evidence(image).items()}
    # With no colour at all the lamp is off, or the crop is none.
    evidence["off"] = 0.01**2
    return _normalised(evidence)


def _frame(image: ImageArray) -> dict[str, float]:
    evidence = frame_evidence(find_lamps(image))
    nothing = float(np.prod([1 - value for value in evidence.values()]))
    vote = {name: value / max(1e-3, 1.02 - value) for name, value in evidence.items()}
    best, second = sorted(vote.values(), reverse=True)[:2]
    vote["none"] = 0.7 * nothing
    vote["off"] = 0.15 * nothing
    # Two colours at once: either lamp may govern.
    vote[UNKNOWN] = 0.3 * second if second > 0.2 * best else 0.0
    return _normalised(vote)


def _normalised(weights: Mapping[str, float]) -> dict[str, float]:
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}
