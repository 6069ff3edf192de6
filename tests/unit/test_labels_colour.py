import cv2
import numpy as np
import pytest

from drivelet import tasks
from drivelet.labels.colour import ColourLabeler
from drivelet.labels.cones import Cone, count_distribution, find_cones, in_path_probability

COLOURS = {"red": (240, 40, 30), "yellow": (250, 200, 40), "green": (40, 230, 150)}


@pytest.fixture(scope="module")
def labeler():
    return ColourLabeler(tasks.fields())


def head(lit, *, height=90, width=40):
    image = np.full((height, width, 3), 45, np.uint8)
    for place, (name, colour) in enumerate(COLOURS.items()):
        centre = (width // 2, round(height * (0.2 + 0.3 * place)))
        cv2.circle(image, centre, width // 4, colour if name == lit else (30, 30, 30), -1)
    return cv2.GaussianBlur(image, (5, 5), 0)


def road():
    image = np.full((240, 400, 3), 170, np.uint8)
    image[120:] = 90
    return image


def cone(image, x, foot, height):
    corners = np.array(
        [[x - height // 3, foot], [x + height // 3, foot], [x + 2, foot - height], [x - 2, foot - height]]
    )
    cv2.fillPoly(image, [corners.astype(np.int32)], (250, 110, 20))
    band = slice(foot - height // 2, foot - height // 3)
    image[band][(image[band] == (250, 110, 20)).all(axis=-1)] = (240, 240, 240)
    return image


def top(vote):
    return max(vote, key=vote.get)


@pytest.mark.parametrize("lit", COLOURS)
def test_a_lamp_head_shows_its_colour(labeler, lit):
    votes = labeler.label(head(lit))
    assert set(votes) == {"traffic_light.state"}
    assert top(votes["traffic_light.state"]) == lit


def test_a_dark_lamp_head_is_off(labeler):
    assert top(labeler.label(head("nothing"))["traffic_light.state"]) == "off"


@pytest.mark.parametrize("lit", COLOURS)
def test_a_lamp_in_a_frame_is_found(labeler, lit):
    image = road()
    image[30:66, 200:214] = cv2.resize(head(lit), (14, 36), interpolation=cv2.INTER_AREA)
    assert top(labeler.label(image)["traffic_light.state"]) == lit


def test_an_empty_road_has_no_lamp_and_no_cone(labeler):
    votes = labeler.label(road())
    assert top(votes["traffic_light.state"]) == "none"
    assert top(votes["cone.count"]) == "0"
    assert top(votes["cone.in_path"]) == "no"


def test_a_red_car_low_in_the_frame_is_no_lamp(labeler):
    image = road()
    image[170:200, 250:300] = (220, 30, 30)
    assert top(labeler.label(image)["traffic_light.state"]) == "none"


def test_cones_are_counted_and_placed(labeler):
    aside = cone(cone(cone(road(), 40, 200, 40), 80, 180, 30), 340, 200, 40)
    votes = labeler.label(aside)
    assert top(votes["cone.count"]) == "3-5"
    assert top(votes["cone.in_path"]) == "no"
    ahead = labeler.label(cone(road(), 200, 220, 50))
    assert top(ahead["cone.count"]) == "1-2"
    assert top(ahead["cone.in_path"]) == "yes"


def test_the_stripes_of_one_cone_are_one(labeler):
    assert [c.count for c in find_cones(cone(road(), 200, 220, 60))] == [1]


def test_votes_are_distributions_over_the_choices(labeler):
    fields = tasks.fields()
    for image in (head("red"), road(), np.zeros((3, 3, 3), np.uint8), np.full((1, 1, 3), 255, np.uint8)):
        for name, vote in labeler.label(image).items():
            assert set(vote) == set(fields[name].choices)
            assert sum(vote.values()) == pytest.approx(1)
            assert min(vote.values()) > 0


def test_count_distribution_adds_independent_blobs():
    probs = count_distribution(
        [
            Cone(foot=(0.5, 0.9), box=(0.45, 0.7, 0.55, 0.9), likeness=0.5, count=1),
            Cone(foot=(0.1, 0.9), box=(0, 0.7, 0.2, 0.9), likeness=0.5, count=2),
        ]
    )
    assert list(probs[:4]) == [0.25, 0.25, 0.25, 0.25]
    assert in_path_probability([]) == 0


def test_boxes_of_lamps_and_cones_lie_where_they_were_drawn(labeler):
    image = cone(road(), 200, 220, 50)
    image[30:66, 200:214] = cv2.resize(head("red"), (14, 36), interpolation=cv2.INTER_AREA)
    large = cv2.resize(image, None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST)
    for picture, scale in ((image, 1), (large, 4)):
        boxes = labeler.detect(picture)
        (lamp,) = [box for box in boxes if box.kind == "lamp"]
        (found,) = [box for box in boxes if box.kind == "cone"]
        assert (lamp.answer, found.answer) == ("red", "")
        assert 0 < lamp.score <= 1
        assert 0 < found.score <= 1
        assert np.allclose(lamp.xyxy, np.array([202, 33, 212, 42]) * scale, atol=4 * scale)
        assert np.allclose(found.xyxy, np.array([184, 170, 217, 221]) * scale, atol=3 * scale)


def test_nothing_is_detected_on_an_empty_road_or_on_a_heads_crop(labeler):
    assert labeler.detect(road()) == []
    assert labeler.detect(head("red")) == []
