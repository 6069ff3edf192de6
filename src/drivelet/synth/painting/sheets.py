"""Contact sheets of pictures: what a round kept, what it rejected and why, what a painter paints."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from drivelet.core.artifacts import ImageArray
from drivelet.core.images import read_image

TILE, LINE = 128, 14


def contact_sheet(pictures: Sequence[Path | ImageArray], texts: Sequence[str], path: Path, *, columns: int = 8) -> Path:
    """Write square tiles in rows, each above its line of text; an empty sheet where there are no pictures."""
    rows = max(-(-len(pictures) // columns), 1)
    sheet = np.full((rows * (TILE + LINE), columns * TILE, 3), 255, np.uint8)
    for place, (picture, text) in enumerate(zip(pictures, texts, strict=True)):
        top, left = place // columns * (TILE + LINE), place % columns * TILE
        image = read_image(picture) if isinstance(picture, Path) else picture
        method = cv2.INTER_NEAREST if max(image.shape[:2]) < TILE else cv2.INTER_AREA
        sheet[top : top + TILE, left : left + TILE] = cv2.resize(image, (TILE, TILE), interpolation=method)
        below = (left + 3, top + TILE + 11)
        cv2.putText(sheet, text[:24], below, cv2.FONT_HERSHEY_SIMPLEX, 0.36, (0, 0, 0), 1, cv2.LINE_AA)
    cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    return path
