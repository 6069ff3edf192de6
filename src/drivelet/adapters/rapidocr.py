"""Text reading with RapidOCR (PP-OCR weights in its wheel, offline, on ONNX Runtime)."""

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from drivelet.core.artifacts import ImageArray

MAX_ASPECT = 20
"""Images longer than so many times their other side are padded."""


@dataclass(frozen=True, kw_only=True)
class TextLine:
    """A line of text: `score` in 0..1, `box` as (left, top, right, bottom) in pixels of the image given."""

    text: str
    score: float
    box: tuple[float, float, float, float]


class TextReader:
    """Finds and reads the text lines of an image; the model is loaded on first use.

    Args:
        threads: ONNX Runtime threads of one operator.
        side: the shorter side is enlarged to at least this many pixels before detection.
    """

    def __init__(self, *, threads: int = 1, side: int = 320) -> None:
        self._params = {
            "Global.log_level": "error",
            "Global.use_cls": False,
            "Global.text_score": 0.3,
            "Det.limit_side_len": side,
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
        self._engine: Any = None

    def read(self, image: ImageArray) -> list[TextLine]:
        """Return the text lines of an RGB image (H, W, 3), from top to bottom."""
        engine = self._load()
        # The engine takes OpenCV's channel order.
        found = engine(np.ascontiguousarray(_padded(image)[..., ::-1]), use_det=True)
        if getattr(found, "boxes", None) is None or found.txts is None:
            return []
        lines = [
            TextLine(text=str(text), score=float(score), box=_box(corners))
            for text, score, corners in zip(found.txts, found.scores, found.boxes, strict=True)
        ]
        return sorted(lines, key=lambda line: line.box[1])

    def read_line(self, image: ImageArray) -> TextLine | None:
        """Read an RGB image that holds one line of text, without searching for it."""
        engine = self._load()
        found = engine(np.ascontiguousarray(image[..., ::-1]), use_det=False)
        if not getattr(found, "txts", None) or not found.txts[0].strip():
            return None
        height, width = image.shape[:2]
        return TextLine(text=str(found.txts[0]), score=float(found.scores[0]), box=(0.0, 0.0, width, height))

    def _load(self) -> Any:
        if self._engine is None:
            with warnings.catch_warnings():
                # rapidocr and its configuration library import names that newer Pythons deprecate.
                warnings.simplefilter("ignore", DeprecationWarning)
                import rapidocr

                folder = Path(rapidocr.__file__).parent / "models"
                self._engine = rapidocr.RapidOCR(params={"Global.model_root_dir": str(folder), **self._params})
            logging.getLogger("RapidOCR").setLevel(logging.ERROR)
        return self._engine


def _padded(image: ImageArray) -> ImageArray:
    """Repeat the lower or right edge of a strip: the engine shrinks its short side to nothing, or enlarges it beyond
    all memory."""
    height, width = image.shape[:2]
    below, beside = max(0, -(-width // MAX_ASPECT) - height), max(0, -(-height // MAX_ASPECT) - width)
    return np.pad(image, ((0, below), (0, beside), (0, 0)), mode="edge") if below or beside else image


def _box(corners: Any) -> tuple[float, float, float, float]:
    points = np.asarray(corners, dtype=float)
    left, top = points.min(axis=0)
    right, bottom = points.max(axis=0)
    return float(left), float(top), float(right), float(bottom)
