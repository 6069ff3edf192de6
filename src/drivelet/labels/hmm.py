"""Hidden Markov smoothing in continuous time: forward-backward offline, the filter online."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.linalg import expm

from drivelet.labels.calibrate import FLOOR, Floats

LONGEST_GAP_S = 10.0
"""Beyond it two frames are taken to be this far apart: long enough to forget."""


@dataclass(frozen=True, kw_only=True)
class Chain:
    """A Markov chain behind a field's answers; S states.

    Attributes:
        shows: for each state the place of the choice that a frame shows in it.
        means: for each state the place of the choice that holds, whether or not a frame shows it.
        hidden: for each state whether its object is there but out of sight.
        driving, standing: rates in 1/s from state (row) to state (column) while the car drives and stands; rows sum
            to 0.
        start: probabilities of the first frame's state.
        halt, set_off: log-likelihood of each state where a driving car comes to a stand, and where a standing one
            sets off.
        stay: the same for each second that it stands.
        passed: probabilities from state (row) to state (column) where the car has passed a junction; None where that
            changes nothing.
    """

    shows: tuple[int, ...]
    means: tuple[int, ...]
    hidden: tuple[bool, ...]
    driving: Floats
    standing: Floats
    start: Floats
    halt: Floats
    stay: Floats
    set_off: Floats
    passed: Floats | None = None


@dataclass(frozen=True, kw_only=True)
class Ride:
    """What the chain is told of each frame.

    Attributes:
        times: seconds, rising.
        standing: whether the car stands; None where it is not known (taken as driving).
        passed: whether the car has passed a junction since the frame before; empty where nothing tells.
    """

    times: Sequence[float]
    standing: Sequence[bool | None]
    passed: Sequence[bool] = ()


@dataclass(frozen=True, kw_only=True)
class Smoothed:
    """The chain's states given the votes.

    Attributes:
        states_FS: probability of each state in each frame.
        log_evidence: log-likelihood of all votes under the chain.
    """

    states_FS: Floats
    log_evidence: float


def evidence(
    probs_FC: Floats, chain: Chain, times: Sequence[float] | Floats, *, unknown: int, independent_s: float
) -> Floats:
    """Return log-likelihoods (F, S) of fused votes, tempered for what neighbouring frames share.

    Args:
        probs_FC: a distribution a frame; NaN rows say nothing.
        chain: its states.
        times: seconds, rising.
        unknown: place of the choice that speaks for every state alike.
        independent_s: frames closer than this count together as one: each weighs its time step over it (at most 1).
    """
    steps_F = np.diff(np.asarray(times, float), prepend=np.nan)
    if len(steps_F) > 1:
        steps_F[0] = steps_F[1]
    weight_F = np.clip(np.nan_to_num(steps_F, nan=independent_s) / independent_s, 0.0, 1.0)
    known_FC = np.nan_to_num(probs_FC, nan=1.0)
    rest = known_FC.shape[1] - 1
    shown_FS = known_FC[:, list(chain.shows)] + known_FC[:, [unknown]] / rest
    return weight_F[:, None] * np.log(np.maximum(shown_FS, FLOOR))


def forward_backward(loglik_FS: Floats, chain: Chain, ride: Ride) -> Smoothed:
    """Return each frame's state given all frames (Rabiner 1989, scaled), from what `evidence` returned."""
    loglik_FS = _with_driver(loglik_FS, chain, ride)
    alpha_FS, scale_F = _forward(loglik_FS, chain, ride)
    likelihood_FS = np.exp(loglik_FS - loglik_FS.max(axis=1, keepdims=True))
    beta_S = np.ones(loglik_FS.shape[1])
    states_FS = np.empty_like(alpha_FS)
    for frame in range(len(alpha_FS) - 1, -1, -1):
        states_S = alpha_FS[frame] * beta_S
        states_FS[frame] = states_S / states_S.sum()
        if frame:
            beta_S = _step(chain, ride, frame) @ (likelihood_FS[frame] * beta_S)
            beta_S /= beta_S.max()
    return Smoothed(states_FS=states_FS, log_evidence=float(scale_F.sum()))


def filtered(loglik_FS: Floats, chain: Chain, ride: Ride) -> Smoothed:
    """Return each frame's state given the frames up to it: what can be known while driving."""
    alpha_FS, scale_F = _forward(_with_driver(loglik_FS, chain, ride), chain, ride)
    return Smoothed(states_FS=alpha_FS, log_evidence=float(scale_F.sum()))


def _with_driver(loglik_FS: Floats, chain: Chain, ride: Ride) -> Floats:
    """Add what the driver's conduct says of the state: he stops, waits and sets off for a reason."""
    now = np.array([value is True for value in ride.standing])
    moves = np.array([value is False for value in ride.standing])
    before, moved = np.concatenate([[False], now[:-1]]), np.concatenate([[False], moves[:-1]])
    waited_F = np.diff(np.asarray(ride.times, float), prepend=ride.times[0]) * (now & before)
    return (
        loglik_FS
        + np.outer(now & moved, chain.halt)
        + np.outer(waited_F, chain.stay)
        + np.outer(moves & before, chain.set_off)
    )


def _forward(loglik_FS: Floats, chain: Chain, ride: Ride) -> tuple[Floats, Floats]:
    """Return normalised forward probabilities and the logarithm of each frame's normaliser."""
    alpha_FS, scale_F = np.empty_like(loglik_FS), np.empty(len(loglik_FS))
    for frame, loglik_S in enumerate(loglik_FS):
        before_S = alpha_FS[frame - 1] @ _step(chain, ride, frame) if frame else chain.start
        top = loglik_S.max()
        joint_S = before_S * np.exp(loglik_S - top)
        total = joint_S.sum()
        alpha_FS[frame] = joint_S / total
        scale_F[frame] = np.log(total) + top
    return alpha_FS, scale_F


def _step(chain: Chain, ride: Ride, frame: int) -> Floats:
    """Return the transition matrix from the frame before to `frame`."""
    seconds = min(max(float(ride.times[frame]) - float(ride.times[frame - 1]), 1e-3), LONGEST_GAP_S)
    stands = ride.standing[frame] and ride.standing[frame - 1]
    step_SS = transition(chain.standing if stands else chain.driving, seconds)
    passes = bool(ride.passed) and ride.passed[frame]
    return step_SS @ chain.passed if passes and chain.passed is not None else step_SS


def transition(rates_SS: Floats, seconds: float) -> Floats:
    """Return the matrix of probabilities to be in a state (column) some seconds after another (row)."""
    return _transitions(rates_SS.tobytes(), len(rates_SS), round(seconds, 3))


@lru_cache(maxsize=512)
def _transitions(rates: bytes, size: int, seconds: float) -> Floats:
    matrix = np.maximum(expm(np.frombuffer(rates).reshape(size, size) * seconds), 0.0)
    return matrix / matrix.sum(axis=1, keepdims=True)


def gather(states_FS: Floats, places: Sequence[int], choices: int) -> Floats:
    """Return the distribution (F, C) over choices: each state's probability goes to its place among them."""
    sums_CF = np.zeros((choices, len(states_FS)))
    np.add.at(sums_CF, list(places), states_FS.T)
    return sums_CF.T
