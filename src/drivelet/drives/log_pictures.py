"""The pictures of one topic of a message log, reached by their place: stills one by one, videos in stretches."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby, islice
from typing import Any

import numpy as np

from drivelet.core.artifacts import ImageArray
from drivelet.drives import messages
from drivelet.drives.log_clock import topic_times
from drivelet.drives.message_log import MessageLog, Shots, decoded_message
from drivelet.drives.pictures import PictureError, decode_packets
from drivelet.drives.reading import Pictures, by_time


def topic_pictures(log: MessageLog, shots: Shots) -> Pictures:
    """Return the pictures of a topic as frames."""
    times_ns = topic_times(shots).time_N.tolist()
    order = by_time(times_ns)
    return Pictures(
        frames=range(len(order)),
        times=[(times_ns[place] - times_ns[order[0]]) * 1e-9 for place in order],
        read=partial(_read, log, shots, order),
        lost=len(times_ns) - len(order),
    )


def _read(
    log: MessageLog, shots: Shots, order: Sequence[int], indices: Sequence[int]
) -> Iterator[tuple[int, ImageArray]]:
    wanted = sorted({index for index in indices if 0 <= index < len(order)})
    if shots.codec:
        yield from _read_video(log, shots, order, wanted)
        return
    for number, decoded in fetch(log, shots, [(index, order[index]) for index in wanted]):
        try:
            image = messages.still(shots.kind, decoded)
        except messages.BROKEN:
            continue
        yield number, image


def _read_video(
    log: MessageLog, shots: Shots, order: Sequence[int], wanted: Sequence[int]
) -> Iterator[tuple[int, ImageArray]]:
    """Decode every stretch from the key packet before what is wanted to the last wanted frame before the next key.

    Packets go to the decoder in the order of the log: with B frames, stamps are those of showing.
    """
    if not wanted:
        return
    place_D = np.argsort(np.asarray(shots.log_ns, np.int64), kind="stable")
    rank_P = np.argsort(place_D)
    frame_P = np.full(len(place_D), -1)
    frame_P[np.asarray(order, int)] = np.arange(len(order))
    keys = np.flatnonzero(np.frombuffer(shots.key, np.uint8)[place_D])
    # A stream without a single key picture (intra refresh) is tried from its start.
    keys = keys if len(keys) else np.zeros(1, int)
    rank_W = rank_P[np.asarray(order, int)[np.asarray(wanted, int)]]
    stretch_W = np.searchsorted(keys, rank_W, side="right") - 1
    asked = set(wanted)
    for stretch in np.unique(stretch_W[stretch_W >= 0]):
        first, last = int(keys[stretch]), int(rank_W[stretch_W == stretch].max())
        places = [(rank, int(place_D[rank])) for rank in range(first, last + 1)]
        packets = decode_packets(_packets(log, shots, places), shots.codec)
        for rank, image in packets:
            if (index := int(frame_P[place_D[rank]])) in asked:
                yield index, image


def _packets(log: MessageLog, shots: Shots, places: Sequence[tuple[int, int]]) -> Iterator[tuple[int, bytes]]:
    """Yield packets by their rank; before the first stand the parameter sets that hold there."""
    before = [sets for place, sets in shots.sets if place <= places[0][1]]
    head = b"".join(unit for _, unit in sorted(before[-1].items())) if before else b""
    for rank, decoded in fetch(log, shots, places):
        try:
            yield rank, head + messages.payload(decoded)
            head = b""
        except PictureError:
            continue


def fetch(log: MessageLog, shots: Shots, wanted: Sequence[tuple[int, int]]) -> Iterator[tuple[int, Any]]:
    """Yield (number, decoded message) of (number, place) pairs; a part is read once for neighbours in it."""
    for offset, group in groupby(wanted, key=lambda item: shots.offset[item[1]]):
        pairs = list(group)
        asked = {shots.number[place] for _, place in pairs}
        found = {n: message for n, message in enumerate(islice(log.part(offset), max(asked) + 1)) if n in asked}
        for number, place in pairs:
            if (message := found.get(shots.number[place])) is None:
                continue
            yield number, decoded_message(log.topics[message.topic], message.data)


def first_message(log: MessageLog, shots: Shots) -> Any:
    """Return a topic's first picture message that can be fetched, None where there is none."""
    return next((message for _, message in fetch(log, shots, [(n, n) for n in range(len(shots.key))])), None)
