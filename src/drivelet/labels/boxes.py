"""Any detector as a labeler: its cones, counted with what their scores leave open."""

from collections.abc import Mapping

from drivelet.core.artifacts import Box, Field, ImageArray
from drivelet.core.ports import Detector
from drivelet.labels.cones import Cone, count_vote, in_path_vote, spread

COUNT, IN_PATH = "cone.count", "cone.in_path"
CONE = "cone"
SPREAD = 0.06
"""Share of every vote that is spread over all choices: what a detector misses, no score tells."""


class BoxLabeler:
    """Votes on how many cones there are (none included), and whether one stands in the path.

    A box is there with the probability of its score, each on its own, so the count is Poisson-binomial.

    Args:
        detector: gives boxes of kind `cone`.
        fields: fields by name; those it knows nothing of are passed over.
        name: what its votes are filed under; the detector's name otherwise.
        family: what it shares mistakes with.
    """

    def __init__(
        self, detector: Detector, fields: Mapping[str, Field], *, name: str = "", family: str = "detector"
    ) -> None:
        self._detector = detector
        self._specs = {name: fields[name] for name in (COUNT, IN_PATH) if name in fields}
        self.name = name or detector.name
        self.family = family
        self.fields = tuple(self._specs)

    def label(self, image: ImageArray) -> Mapping[str, Mapping[str, float]]:
        """Return probabilities for the fields of cones on an RGB image (H, W, 3)."""
        cones = [_cone(box, image) for box in self._detector.detect(image) if box.kind == CONE]
        votes = {IN_PATH: in_path_vote(cones)}
        if COUNT in self._specs:
            votes[COUNT] = count_vote(self._specs[COUNT], cones)
        return {name: spread(votes[name], spec, SPREAD) for name, spec in self._specs.items()}


def _cone(box: Box, image: ImageArray) -> Cone:
    height, width = image.shape[:2]
    left, top, right, bottom = box.xyxy
    return Cone(
        foot=((left + right) / 2 / width, bottom / height),
        box=(left / width, top / height, right / width, bottom / height),
        likeness=min(max(box.score, 0.0), 1.0),
        count=1,
    )
