"""Images of several cameras in one folder, told apart by the words in their names (`front_0001.png`, `0001_R.png`)."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from drivelet.drives.cameras import camera_rank

LEAST = 3
"""Fewer images than these are no camera's."""
WORD = r"[A-Za-z]{2,}\d{1,2}(?=[-_. ]|$)|[A-Za-z]+"
"""A word of a name; one or two digits at its end belong to it (`cam0_0001.png`)."""


def cameras_of(files: Sequence[Path]) -> dict[str, list[Path]]:
    """Return the images of every camera, that to use first at the beginning; empty where one camera took them all.

    Cameras are groups of names with other words, about equally many, whose numbers run side by side: images that only
    follow upon each other under another word are one series.
    """
    groups: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    for file in files:
        groups[tuple(re.findall(WORD, file.stem))].append(file)
    most = max((len(group) for group in groups.values()), default=0)
    large = {name: group for name, group in groups.items() if len(group) >= max(LEAST, most / 2)}
    if len(large) < 2 or not _side_by_side(large):
        return {}
    # What all names begin with tells no camera; at least a word of each stays.
    least = max(min(len(words) for words in large) - 1, 0)
    shared = next((n for n, words in enumerate(zip(*large, strict=False)) if n == least or len(set(words)) > 1), 0)
    named = {"_".join(words[shared:]) or "plain": group for words, group in large.items()}
    return {name: named[name] for name in sorted(named, key=camera_rank)}


def _side_by_side(groups: Mapping[tuple[str, ...], Sequence[Path]]) -> bool:
    """Return whether at least half of every group lies between the ends of the first."""
    numbers = [sorted(_numbers(file) for file in group) for group in groups.values()]
    low, high = numbers[0][0], numbers[0][-1]
    return all(2 * sum(low <= number <= high for number in group) >= len(group) for group in numbers)


def _numbers(file: Path) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", re.sub(WORD, " ", file.stem))]
