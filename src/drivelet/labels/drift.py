"""The alarm for labels that vary too much from frame to frame, and what is at fault: window, IMU or labelers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from drivelet.core.artifacts import UNKNOWN, Field
from drivelet.core.ranges import Amount, Share, ranged
from drivelet.labels import hmm
from drivelet.labels.calibrate import Floats
from drivelet.labels.phases import chain_of
from drivelet.labels.smooth import SmoothConfig, smooth_field

Fault = Literal["", "window", "imu", "labelers"]


@dataclass(frozen=True, kw_only=True)
@ranged
class DriftConfig:
    """When to raise the alarm.

    Attributes:
        most: share of voted frames whose own answer may differ from the smoothed one.
        margin: a link is at fault where the votes are likelier without it by more than this, in nats a frame.
    """

    most: Share = 0.25
    margin: Amount = 0.02


@dataclass(frozen=True, kw_only=True)
class Drift:
    """What was found for one field of a drive.

    Attributes:
        overruled: share of voted frames whose own answer differs from the smoothed one.
        evidence: mean log-likelihood of a frame's votes with everything, `without_imu` and `without_window`.
        fault: empty where no alarm is raised.
    """

    overruled: float
    evidence: Mapping[str, float]
    fault: Fault

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"overruled": self.overruled, "evidence": dict(self.evidence), "fault": self.fault}


def drift(
    config: DriftConfig,
    smooth: SmoothConfig,
    spec: Field,
    probs_FC: Floats,
    ride: hmm.Ride,
) -> Drift:
    """Refit with the window and with the IMU left out, and say which of them the votes are likelier without.

    The paper's failure signature (variance of pseudo-labels across frames) alone cannot tell a window that is too wide
    from an IMU that lies: the likelihood of the votes can. Where neither explains it the labelers themselves waver.
    """
    track = smooth_field(smooth, spec, probs_FC, ride)
    voted_F = ~np.isnan(probs_FC).any(axis=1)
    own_F, best_F = np.nan_to_num(probs_FC).argmax(axis=1), np.nan_to_num(track.shown_FC).argmax(axis=1)
    overruled = float((own_F != best_F)[voted_F].mean()) if voted_F.any() else 0.0
    chained = replace(smooth, method="hmm", online=False)
    frames = max(int(voted_F.sum()), 1)
    with_all, without_imu = (
        smooth_field(replace(chained, motion=motion), spec, probs_FC, ride).log_evidence / frames
        for motion in (True, False)
    )
    found = {
        "full": round(with_all, 4),
        "without_imu": round(without_imu, 4),
        "without_window": round(_independent(smooth, spec, probs_FC, ride.times) / frames, 4),
    }
    return Drift(overruled=round(overruled, 4), evidence=found, fault=_fault(config, overruled, found))


def _independent(smooth: SmoothConfig, spec: Field, probs_FC: Floats, times: Sequence[float]) -> float:
    """Return the log-likelihood of the votes where every frame's state is drawn anew, as often as the drive has it."""
    chain = chain_of(spec)
    place = spec.choices.index(UNKNOWN)
    loglik_FS = hmm.evidence(probs_FC, chain, times, unknown=place, independent_s=smooth.independent_s)
    share_S = np.full(loglik_FS.shape[1], 1 / loglik_FS.shape[1])
    for _ in range(20):
        joint_FS = np.exp(loglik_FS) * share_S
        share_S = (joint_FS / joint_FS.sum(axis=1, keepdims=True)).mean(axis=0)
    return float(np.log((np.exp(loglik_FS) * share_S).sum(axis=1)).sum())


def _fault(config: DriftConfig, overruled: float, found: Mapping[str, float]) -> Fault:
    if overruled <= config.most:
        return ""
    if found["without_imu"] > found["full"] + config.margin and found["without_imu"] >= found["without_window"]:
        return "imu"
    return "window" if found["without_window"] > found["full"] + config.margin else "labelers"
