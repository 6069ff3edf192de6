"""Which times of a log are to be believed: the stamps that devices put on their messages, or when they were logged."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]

FAR_NS = 60 * 10**9
FEW = 0.05
"""A stamp further than `FAR_NS` from the log's time is damage where no more than this share of them is."""
BACK_NS = 5 * 10**8
"""Stamps that fall back by more than this, and stay there, were set anew."""


class Timed(Protocol):
    """Messages of one topic: nanoseconds on the device's clock, and on the logger's."""

    @property
    def stamp_ns(self) -> object: ...

    @property
    def log_ns(self) -> object: ...


@dataclass(frozen=True, kw_only=True)
class Clock:
    """The times of one topic.

    Attributes:
        time_N: nanoseconds.
        replaced: lone wild stamps that gave way to the log's time.
        fault: why the stamps as a whole did, empty where they did not.
    """

    time_N: Times
    replaced: int
    fault: str = ""


def topic_times(found: Timed) -> Clock:
    """Return the stamps of a topic, or the log's times where the stamps are missing, stand still, or were set anew."""
    stamp_N, log_N = np.array(found.stamp_ns, np.int64), np.array(found.log_ns, np.int64)
    if stamp_N.max() <= 0:
        return Clock(time_N=log_N, replaced=0, fault="bear no time")
    if len(stamp_N) > 1 and stamp_N.max() == stamp_N.min():
        return Clock(time_N=log_N, replaced=0, fault="stand still")
    offset_N = stamp_N - log_N
    usual = int(np.median(offset_N))
    far_N = np.abs(offset_N - usual) > FAR_NS
    logged_rises = log_N.max() > log_N.min()
    if logged_rises and (far_N.mean() > FEW or _falls_back(stamp_N[np.argsort(log_N, kind="stable")])):
        return Clock(time_N=log_N, replaced=0, fault="are set anew on the way")
    if not far_N.any() or far_N.mean() > FEW:
        return Clock(time_N=stamp_N, replaced=0)
    first, last = stamp_N[~far_N].min(), stamp_N[~far_N].max()
    wild_N = far_N & ((stamp_N < first - FAR_NS) | (stamp_N > last + FAR_NS))
    return Clock(time_N=np.where(wild_N, log_N + usual, stamp_N), replaced=int(wild_N.sum()))


def _falls_back(stamp_N: Times) -> bool:
    """Return whether the middle one of three stamps lies well above that of the next three: lone outliers do not."""
    if len(stamp_N) < 6:
        return False
    middle_N = np.median(np.lib.stride_tricks.sliding_window_view(stamp_N, 3), axis=1)
    return bool((middle_N[:-3] - middle_N[3:] > BACK_NS).any())


def on_clock_of(found: Timed, camera: Clock, camera_log: object) -> Clock:
    """Return the times of a sensor topic on the camera's clock.

    Stamps serve where the camera's do and both overlap; else the log's times, shifted as the camera's stamps are.
    """
    own = topic_times(found)
    log_N, camera_log_N = np.array(found.log_ns, np.int64), np.array(camera_log, np.int64)
    shift = int(np.median(camera.time_N - camera_log_N))
    if camera.fault:
        return Clock(time_N=log_N, replaced=0)
    if own.fault:
        return Clock(time_N=log_N + shift, replaced=0, fault=own.fault)
    if own.time_N.min() > camera.time_N.max() or own.time_N.max() < camera.time_N.min():
        logged_apart = log_N.min() > camera_log_N.max() or log_N.max() < camera_log_N.min()
        if not logged_apart:
            return Clock(time_N=log_N + shift, replaced=0, fault="are on another clock than the camera's")
    return own
