import cv2
import numpy as np
import pytest

from drivelet import tasks
from drivelet.adapters.rapidocr import TextLine, TextReader
from drivelet.labels.ocr import FIELD, OcrLabeler, mosaic, speed_value
from drivelet.labels.signs import cut, find_signs


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("50", "50"),
        (" 5O ", "50"),
        ("3O", "30"),
        ("I20", "120"),
        ("135", "35"),
        ("LIMIT 45", "45"),
        ("SPEED LIMIT", None),
        ("Elm Street 45", None),
        ("47", None),
        ("145", "45"),
        ("200", None),
        ("", None),
        ("SOS", None),
    ],
)
def test_speed_value(text, value):
    assert speed_value(text) == value


class WrittenReader:
    """Returns lines that were written down beforehand."""

    def __init__(self, *lines):
        self._lines = lines
        self.calls = 0

    def read(self, image):
        self.calls += 1
        return self._lines

    def read_line(self, image):
        return None


def line(text, score=0.98, height=20.0):
    return TextLine(text=text, score=score, box=(0.0, 0.0, 30.0, height))


def labeler(*lines):
    return OcrLabeler(WrittenReader(*lines), tasks.fields()[FIELD].choices)


CROP = np.zeros((60, 50, 3), np.uint8)
FRAME = np.zeros((240, 400, 3), np.uint8)


def test_the_value_read_wins_and_small_print_does_not():
    vote = labeler(line("SPEED"), line("30"), line("70", height=4.0)).label(CROP)[FIELD]
    assert max(vote, key=vote.get) == "30"
    assert sum(vote.values()) == pytest.approx(1)


def test_nothing_read_is_no_vote_on_a_crop_and_none_in_a_frame():
    assert labeler(line("SCHOOL")).label(CROP) == {}
    vote = labeler(line("SCHOOL")).label(FRAME)[FIELD]
    assert max(vote, key=vote.get) == "none"


def us_sign(value):
    sign = np.full((120, 90, 3), 245, np.uint8)
    cv2.rectangle(sign, (3, 3), (86, 116), (20, 20, 20), 2)
    for text, y, size, thick in (("SPEED", 28, 0.62, 2), ("LIMIT", 52, 0.62, 2), (value, 104, 1.6, 4)):
        width = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, thick)[0][0]
        cv2.putText(sign, text, (45 - width // 2, y), cv2.FONT_HERSHEY_SIMPLEX, size, (20, 20, 20), thick, cv2.LINE_AA)
    return sign


def test_signs_are_found_by_their_look():
    frame = np.full((240, 400, 3), 110, np.uint8)
    frame[40:100, 300:345] = cv2.resize(us_sign("40"), (45, 60), interpolation=cv2.INTER_AREA)
    cv2.circle(frame, (100, 70), 18, (210, 30, 30), 5)
    cv2.circle(frame, (100, 70), 15, (240, 240, 240), -1)
    boxes = [region.box for region in find_signs(frame)]
    for x, y in ((322, 70), (100, 70)):
        assert any(left <= x <= right and upper <= y <= lower for left, upper, right, lower in boxes)
    assert find_signs(np.full((100, 100, 3), 128, np.uint8)) == []


def test_tiles_of_a_mosaic_do_not_overlap():
    tiles = [cut(np.full((30, 20, 3), 50 * i, np.uint8), (0, 0, 20, 30), margin=0, side=192) for i in range(1, 5)]
    canvas = mosaic(tiles)
    for i in range(1, 5):
        assert (canvas == 50 * i).all(axis=-1).sum() == tiles[0].shape[0] * tiles[0].shape[1]


def test_the_shipped_reader_reads_a_sign_in_crop_and_frame():
    real = OcrLabeler(TextReader(), tasks.fields()[FIELD].choices)
    small = cv2.resize(us_sign("40"), (45, 60), interpolation=cv2.INTER_AREA)
    vote = real.label(small)[FIELD]
    assert max(vote, key=vote.get) == "40"
    frame = np.full((240, 400, 3), 110, np.uint8)
    frame[40:100, 300:345] = small
    vote = real.label(frame)[FIELD]
    assert max(vote, key=vote.get) == "40"


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (10, 2010), (2010, 10)])
def test_strips_and_dots_are_read_as_any_picture(size):
    assert TextReader().read(np.full((*size, 3), 90, np.uint8)) == []
