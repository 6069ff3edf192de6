import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from drivelet.labels.closer import AHEAD, CloserLabeler, enlarged_part


class Redness:
    name, family, fields = "red", "colour", ("traffic_light.state",)

    def label(self, image):
        self.size = image.shape
        share = float((image[..., 0] > 128).mean())
        return {"traffic_light.state": {"red": share, "none": 1 - share}}


def test_a_small_thing_ahead_fills_more_of_the_picture():
    image = np.zeros((192, 320, 3), np.uint8)
    image[60:70, 150:160] = 255
    far, labeler = Redness(), Redness()
    closer = CloserLabeler(labeler)
    plain = far.label(image)["traffic_light.state"]["red"]
    found = closer.label(image)["traffic_light.state"]["red"]
    assert found > 2.5 * plain
    assert labeler.size == image.shape
    assert (closer.name, closer.family, closer.fields) == ("red, closer", "colour", labeler.fields)


@given(st.integers(1, 60), st.integers(1, 60))
def test_any_image_keeps_its_size(height, width):
    image = np.full((height, width, 3), 77, np.uint8)
    part = enlarged_part(image, AHEAD)
    assert part.shape == image.shape
    assert (part == 77).all()
