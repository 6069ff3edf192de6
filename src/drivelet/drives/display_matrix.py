"""Display matrices: how a player turns or mirrors the stored picture (ISO/IEC 14496-12, 6.2.2; FFmpeg `display.h`)."""

from typing import Any, NamedTuple, TypeVar

import numpy as np
from av.sidedata.sidedata import Type
from numpy.typing import NDArray

Pixel = TypeVar("Pixel", bound=np.generic)


class Turn(NamedTuple):
    """From stored to shown: first rows and columns change places, then the shown columns and rows are reversed."""

    swapped: bool = False
    columns: bool = False
    rows: bool = False

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return the shown (width, height) of a stored one, or the other way round."""
        return (height, width) if self.swapped else (width, height)

    def apply(self, image: NDArray[Pixel]) -> NDArray[Pixel]:
        """Return a stored image (H, W, ...) as it is shown."""
        if not any(self):
            return image
        image = image.swapaxes(0, 1) if self.swapped else image
        return np.ascontiguousarray(image[:: -1 if self.rows else 1, :: -1 if self.columns else 1])


def turn_of(frame: Any) -> Turn:
    """Return how a decoded frame is to be shown: by the container's matrix or the stream's own message."""
    found = frame.side_data.get(Type.DISPLAYMATRIX)
    return read_matrix(bytes(found)) if found is not None else Turn()


def read_matrix(data: bytes) -> Turn:
    """Read nine 32-bit numbers a, b, u, c, d, v, x, y, w: a stored point (p, q) is shown at (a p + c q, b p + d q).

    Slanted pictures take the nearest quarter turn.
    """
    if len(data) < 36:
        return Turn()
    a, b, _, c, d = (int(value) for value in np.frombuffer(data, "=i4", count=5))
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Turn(swapped=True, columns=c < 0, rows=b < 0)
    return Turn(columns=a < 0, rows=d < 0)
