"""Frames for the page: one reader that runs forwards through a drive, and the last pictures kept as JPEG."""

import io
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from threading import Lock

from PIL import Image

from drivelet.core.artifacts import ImageArray

ReadFrames = Callable[[str, Sequence[int]], Iterable[tuple[int, ImageArray]]]
"""Reads frames of a video or image folder by ascending index, as (index, RGB image); damaged frames are left out."""
Upcoming = Callable[[], Sequence[int]]
"""Lists the frames that will be asked for from a frame's predecessor on, ascending."""


class FrameStore:
    """Pictures of frames by (file, index).

    A reader of a video costs a pass over its packets, so one is kept open and pulled forwards while requests come in
    order; a request behind it, or of another file, opens another.
    """

    def __init__(self, read_frames: ReadFrames, *, keep: int = 256, keep_bytes: int = 128 << 20) -> None:
        self._read_frames, self._keep, self._keep_bytes = read_frames, keep, keep_bytes
        self._held = 0
        self._cache: OrderedDict[tuple[str, int], bytes | None] = OrderedDict()
        self._file = ""
        self._ahead: set[int] = set()
        self._reader: Iterator[tuple[int, ImageArray]] = iter(())
        self._decoding = Lock()

    def jpeg(self, file: str, frame: int, upcoming: Upcoming) -> bytes | None:
        """Return the frame as JPEG, None where it is damaged.

        Raises:
            InputError: the file cannot be read.
        """
        with suppress(KeyError):
            return self._cache[file, frame]
        with self._decoding:
            if (file, frame) not in self._cache:
                self._read_to(file, frame, upcoming)
            return self._cache[file, frame]

    def _read_to(self, file: str, frame: int, upcoming: Upcoming) -> None:
        if file != self._file or frame not in self._ahead:
            wanted = upcoming()
            self._file, self._ahead = file, set(wanted)
            self._reader = iter(self._read_frames(file, wanted))
        reached = -1
        try:
            while reached < frame:
                reached, image = next(self._reader)
                self._put((file, reached), encode(image))
        except StopIteration:
            reached = frame
        except BaseException:
            self._file = ""
            raise
        self._ahead = {index for index in self._ahead if index > reached}
        if (file, frame) not in self._cache:
            self._put((file, frame), None)

    def _put(self, key: tuple[str, int], picture: bytes | None) -> None:
        self._held += len(picture or b"") - len(self._cache.pop(key, None) or b"")
        self._cache[key] = picture
        while len(self._cache) > self._keep or (self._held > self._keep_bytes and len(self._cache) > 1):
            self._held -= len(self._cache.popitem(last=False)[1] or b"")


def encode(image: ImageArray) -> bytes:
    """Return a JPEG at full size and without colour subsampling: a far lamp is a few pixels of colour."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="JPEG", quality=92, subsampling=0)
    return stream.getvalue()
