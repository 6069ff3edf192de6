"""Dawid-Skene fusion on counts of vote patterns, with a discount for labelers of one family."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivelet.labels.calibrate import Floats

Codes = NDArray[np.integer]
NO_VOTE = -1


@dataclass(frozen=True, kw_only=True)
class Patterns:
    """Equal rows of votes counted once: `votes_PL` (answer's place, or NO_VOTE), `counts_P`, and each item's row."""

    votes_PL: Codes
    counts_P: Floats
    of_item_N: Codes


@dataclass(frozen=True, kw_only=True)
class DawidSkene:
    """A fitted model.

    Attributes:
        confusion_LKK: probability that labeler l says k' (column) where k (row) is true.
        prior_K: how often each answer is true.
        weight_L: how much each labeler counts, m ** -discount among m of its family.
        log_likelihoods: of the votes, after each step.
    """

    confusion_LKK: Floats
    prior_K: Floats
    weight_L: Floats
    log_likelihoods: tuple[float, ...]

    def posterior(self, votes_PL: Codes) -> Floats:
        """Return the distribution (P, K) over the true answer for each row of votes."""
        joint_PK = _log_joint(votes_PL, self.confusion_LKK, self.prior_K, self.weight_L)
        return np.exp(joint_PK - np.logaddexp.reduce(joint_PK, axis=1, keepdims=True))


def patterns(votes_NL: Codes, answers: int) -> Patterns:
    """Count equal rows: a row becomes one number in base answers + 1, so that ten million votes take about a second."""
    base = answers + 1
    places = base ** np.arange(votes_NL.shape[1], dtype=np.int64)
    if base ** votes_NL.shape[1] > np.iinfo(np.int64).max:
        raise ValueError(f"{votes_NL.shape[1]} labelers of {answers} answers are too many patterns for one number")
    codes_N = np.zeros(len(votes_NL), np.int64)
    for labeler, place in enumerate(places):
        codes_N += (votes_NL[:, labeler].astype(np.int64) + 1) * place
    found, of_item_N, counts_P = np.unique(codes_N, return_inverse=True, return_counts=True)
    votes_PL = (found[:, None] // places) % base - 1
    return Patterns(votes_PL=votes_PL, counts_P=counts_P.astype(float), of_item_N=of_item_N)


def fit(
    found: Patterns,
    answers: int,
    *,
    families: Sequence[str] | None = None,
    discount: float = 1.0,
    known_LKK: Floats | None = None,
    smoothing: float = 0.01,
    steps: int = 100,
    tolerance: float = 1e-6,
) -> DawidSkene:
    """Fit confusions and prior by expectation maximisation (Dawid & Skene 1979), one row a pattern.

    Labelers of a family err together, so that their votes are raised to m ** -discount in the likelihood: with 1 they
    count as one labeler, with 0 this is the plain model.

    Args:
        found: counted votes.
        answers: K.
        families: one a labeler; all independent by default.
        discount: how far a family counts as one.
        known_LKK: counts of (true answer, vote) on hand-checked items, added to every step: they anchor the answers.
        smoothing: pseudo-count on every cell.
        steps: at most.
        tolerance: stop where the mean log-likelihood gains less.
    """
    labelers = found.votes_PL.shape[1]
    members = Counter(families or range(labelers))
    weight_L = np.array([members[family] ** -discount for family in families or range(labelers)])
    anchor_LKK = np.zeros((labelers, answers, answers)) if known_LKK is None else known_LKK
    posterior_PK = _first_guess(found.votes_PL, answers, weight_L, anchor_LKK)
    gained: list[float] = []
    confusion_LKK, prior_K = _maximise(found, posterior_PK, anchor_LKK, smoothing)
    for _ in range(steps):
        joint_PK = _log_joint(found.votes_PL, confusion_LKK, prior_K, weight_L)
        total_P = np.logaddexp.reduce(joint_PK, axis=1)
        gained.append(float(found.counts_P @ total_P / found.counts_P.sum()))
        posterior_PK = np.exp(joint_PK - total_P[:, None])
        confusion_LKK, prior_K = _maximise(found, posterior_PK, anchor_LKK, smoothing)
        if len(gained) > 1 and gained[-1] - gained[-2] < tolerance:
            break
    return DawidSkene(confusion_LKK=confusion_LKK, prior_K=prior_K, weight_L=weight_L, log_likelihoods=tuple(gained))


def confusion_counts(votes_NL: Codes, truth_N: Codes, answers: int) -> Floats:
    """Return counts (L, K, K) of (true answer, vote) on items whose answer is known."""
    counts_LKK = np.zeros((votes_NL.shape[1], answers, answers))
    for labeler, votes_N in enumerate(votes_NL.T):
        voted = votes_N != NO_VOTE
        np.add.at(counts_LKK[labeler], (truth_N[voted], votes_N[voted]), 1.0)
    return counts_LKK


def _first_guess(votes_PL: Codes, answers: int, weight_L: Floats, anchor_LKK: Floats) -> Floats:
    """Weighted shares of the votes; where hand-checked items are there, what their confusions say."""
    if anchor_LKK.any():
        confusion_LKK = _rows(anchor_LKK, 1.0)
        joint_PK = _log_joint(votes_PL, confusion_LKK, np.full(answers, 1 / answers), weight_L)
        return np.exp(joint_PK - np.logaddexp.reduce(joint_PK, axis=1, keepdims=True))
    shares_PK = np.full((len(votes_PL), answers), 1e-6)
    for votes_P, weight in zip(votes_PL.T, weight_L, strict=True):
        voted = votes_P != NO_VOTE
        shares_PK[np.flatnonzero(voted), votes_P[voted]] += weight
    return shares_PK / shares_PK.sum(axis=1, keepdims=True)


def _maximise(found: Patterns, posterior_PK: Floats, anchor_LKK: Floats, smoothing: float) -> tuple[Floats, Floats]:
    mass_PK = posterior_PK * found.counts_P[:, None]
    counts_LKK = anchor_LKK.copy()
    for labeler, votes_P in enumerate(found.votes_PL.T):
        voted = votes_P != NO_VOTE
        np.add.at(counts_LKK[labeler].T, votes_P[voted], mass_PK[voted])
    prior_K = mass_PK.sum(axis=0) + smoothing
    return _rows(counts_LKK, smoothing), prior_K / prior_K.sum()


def _rows(counts_LKK: Floats, smoothing: float) -> Floats:
    smoothed_LKK = counts_LKK + smoothing
    return smoothed_LKK / smoothed_LKK.sum(axis=2, keepdims=True)


def _log_joint(votes_PL: Codes, confusion_LKK: Floats, prior_K: Floats, weight_L: Floats) -> Floats:
    joint_PK = np.tile(np.log(prior_K), (len(votes_PL), 1))
    for labeler, votes_P in enumerate(votes_PL.T):
        voted = votes_P != NO_VOTE
        joint_PK[voted] += weight_L[labeler] * np.log(confusion_LKK[labeler][:, votes_P[voted]]).T
    return joint_PK
