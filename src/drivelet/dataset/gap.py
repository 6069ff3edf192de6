"""The domain gap: how far synthetic images are from real ones, and which plain features tell them apart."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from drivelet.core.errors import InputError
from drivelet.core.ranges import Folds, Positive, Seed, ranged
from drivelet.core.rng import derive_seed
from drivelet.dataset.image_statistics import STATISTICS

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Domain:
    """Images of one domain: their `STATISTICS` (N, S), unit embeddings (N, D) and groups (drives, scenes)."""

    statistics_NS: Floats
    vectors_ND: Floats
    groups: Sequence[str]


@dataclass(frozen=True, kw_only=True)
@ranged
class GapConfig:
    """Settings of `domain_gap`.

    Attributes:
        folds: of the classifier, by group.
        strength: C of its L2 penalty; small, since embeddings have many dimensions for few images.
        seed: decides the folds, and the halves of the real images that the distances are compared with.
    """

    folds: Folds = 5
    strength: Positive = 0.05
    seed: Seed = 0


def domain_gap(config: GapConfig, *, real: Domain, synthetic: Domain) -> dict[str, Any]:
    """Return what separates synthetic images from real ones.

    Returns:
        `images` and `groups` of both; `auc` of a classifier that tells them apart (0.5: it cannot; 1: always);
        `frechet` and `kid`, with the same between two halves of the real images as `frechet_within` and `kid_within`;
        `features`: name, both means and their standardised difference, the largest first.

    Raises:
        InputError: a domain has fewer than two groups.
    """
    for name, domain in (("real", real), ("synthetic", synthetic)):
        if len(set(domain.groups)) < 2:
            raise InputError(f"domain gap: the {name} images are of one group; give images of at least two")
    half_N = np.array([derive_seed(config.seed, "half", group) % 2 == 0 for group in real.groups])
    return {
        "images": {"real": len(real.groups), "synthetic": len(synthetic.groups)},
        "groups": {"real": len(set(real.groups)), "synthetic": len(set(synthetic.groups))},
        "auc": separability(config, real=real, synthetic=synthetic),
        "frechet": frechet_distance(real.vectors_ND, synthetic.vectors_ND),
        "kid": kernel_distance(real.vectors_ND, synthetic.vectors_ND),
        "frechet_within": _within(frechet_distance, real.vectors_ND, half_N),
        "kid_within": _within(kernel_distance, real.vectors_ND, half_N),
        "features": separating_features(real.statistics_NS, synthetic.statistics_NS),
    }


def _within(distance: Any, vectors_ND: Floats, half_N: NDArray[np.bool_]) -> float | None:
    enough = min(half_N.sum(), (~half_N).sum()) > 1
    return distance(vectors_ND[half_N], vectors_ND[~half_N]) if enough else None


def separability(config: GapConfig, *, real: Domain, synthetic: Domain) -> float:
    """Return the area under the ROC curve of logistic regression on statistics and embeddings.

    Groups lie whole in one fold, and those of each domain are dealt evenly; the areas of the folds are averaged, since
    scores of two folds have no common scale.
    """
    features_NF = np.vstack([np.hstack([d.statistics_NS, d.vectors_ND]) for d in (real, synthetic)])
    synthetic_N = np.repeat([0, 1], [len(real.groups), len(synthetic.groups)])
    fold_N = np.concatenate([_deal(d.groups, config.folds, config.seed) for d in (real, synthetic)])
    areas = []
    for fold in range(config.folds):
        here_N = fold_N == fold
        if len(set(synthetic_N[here_N])) < 2 or len(set(synthetic_N[~here_N])) < 2:
            continue
        model = make_pipeline(
            StandardScaler(), LogisticRegression(C=config.strength, max_iter=2000, class_weight="balanced")
        )
        model.fit(features_NF[~here_N], synthetic_N[~here_N])
        areas.append(roc_auc_score(synthetic_N[here_N], model.decision_function(features_NF[here_N])))
    return float(np.mean(areas))


def _deal(groups: Iterable[str], folds: int, seed: int) -> NDArray[np.int64]:
    """Deal groups to folds in turn, in an order that is a hash of their names."""
    groups = list(groups)
    order = sorted(set(groups), key=lambda group: derive_seed(seed, "gap fold", group))
    place = {group: number % folds for number, group in enumerate(order)}
    return np.array([place[group] for group in groups], np.int64)


def frechet_distance(a_ND: Floats, b_MD: Floats) -> float:
    """Return |mean a - mean b|^2 + tr(A + B - 2 (A B)^1/2) of two sets of vectors.

    Heusel et al. 2017, equation 6, with covariances shrunk as Ledoit and Wolf 2004 do: they stay of full rank where
    there are fewer images than dimensions.
    """
    spread_a, spread_b = (LedoitWolf().fit(x).covariance_ for x in (a_ND, b_MD))
    root_a = _root(spread_a)
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(root_a @ spread_b @ root_a), 0, None)).sum()
    apart = np.sum((a_ND.mean(axis=0) - b_MD.mean(axis=0)) ** 2)
    return float(apart + np.trace(spread_a) + np.trace(spread_b) - 2 * cross)


def _root(matrix_DD: Floats) -> Floats:
    values_D, vectors_DD = np.linalg.eigh(matrix_DD)
    return (vectors_DD * np.sqrt(np.clip(values_D, 0, None))) @ vectors_DD.T


def kernel_distance(a_ND: Floats, b_MD: Floats) -> float:
    """Return the unbiased squared MMD of two sets of unit vectors; around 0, and below at times, where they are alike.

    Kernel (cos(x, y) + 1)^3: that of the kernel inception distance (Binkowski et al. 2018, section 4) for vectors of
    length sqrt(D).
    """
    aa, bb, ab = ((x @ y.T + 1.0) ** 3 for x, y in ((a_ND, a_ND), (b_MD, b_MD), (a_ND, b_MD)))
    return float(_off_diagonal_mean(aa) + _off_diagonal_mean(bb) - 2 * ab.mean())


def _off_diagonal_mean(matrix_NN: Floats) -> float:
    count = len(matrix_NN)
    return float((matrix_NN.sum() - np.trace(matrix_NN)) / (count * (count - 1)))


def separating_features(real_NS: Floats, synthetic_MS: Floats) -> list[dict[str, Any]]:
    """Return every statistic with both means and Cohen's d (synthetic minus real over the pooled deviation), ranked."""
    pooled_S = np.sqrt((real_NS.var(axis=0) + synthetic_MS.var(axis=0)) / 2)
    gap_S = synthetic_MS.mean(axis=0) - real_NS.mean(axis=0)
    d_S = np.divide(gap_S, pooled_S, out=np.zeros_like(gap_S), where=pooled_S > 1e-12)
    order = np.argsort(-np.abs(d_S), kind="stable")
    return [
        {
            "feature": STATISTICS[s],
            "difference": round(float(d_S[s]), 4),
            "real": round(float(real_NS[:, s].mean()), 4),
            "synthetic": round(float(synthetic_MS[:, s].mean()), 4),
        }
        for s in order
    ]
