"""The domain gap: nothing between alike sets, everything between shifted ones, and image statistics that mean it."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from sklearn.covariance import LedoitWolf

from drivelet.core.errors import InputError
from drivelet.dataset.gap import (
    Domain,
    GapConfig,
    domain_gap,
    frechet_distance,
    kernel_distance,
    separability,
    separating_features,
)
from drivelet.dataset.image_statistics import STATISTICS, image_statistics

S = len(STATISTICS)


def domain(rng: np.random.Generator, name: str, *, count: int = 240, shift: float = 0.0, drift: float = 0.5) -> Domain:
    """Images in groups of four that resemble each other; `shift` moves one statistic and one direction."""
    group_N = np.arange(count) // 4
    statistics = rng.normal(size=(count, S)) + drift * rng.normal(size=(count // 4, S))[group_N]
    vectors = rng.normal(size=(count, 24)) + drift * rng.normal(size=(count // 4, 24))[group_N]
    statistics[:, 9] += shift
    vectors[:, 0] += shift
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Domain(statistics_NS=statistics, vectors_ND=vectors, groups=[f"{name}{g}" for g in group_N])


@given(st.integers(0, 10_000))
@settings(max_examples=12)
def test_the_auc_is_near_a_half_for_alike_sets_and_near_one_for_shifted_ones(seed: int) -> None:
    rng = np.random.default_rng(seed)
    real = domain(rng, "r")
    alike = separability(GapConfig(), real=real, synthetic=domain(rng, "s"))
    shifted = separability(GapConfig(), real=real, synthetic=domain(rng, "s", shift=4.0))
    assert 0.3 < alike < 0.7
    assert shifted > 0.95


def test_over_many_draws_the_auc_of_alike_sets_is_a_half() -> None:
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        found.append(separability(GapConfig(), real=domain(rng, "r"), synthetic=domain(rng, "s")))
    assert abs(np.mean(found) - 0.5) < 0.05


def test_a_group_that_stands_in_both_folds_would_cheat_and_none_does() -> None:
    """Groups far apart, no gap between domains: only a split through the groups could tell."""
    rng = np.random.default_rng(1)
    auc = separability(GapConfig(), real=domain(rng, "r", drift=20.0), synthetic=domain(rng, "s", drift=20.0))
    assert 0.3 < auc < 0.7


@given(st.integers(0, 10_000), st.floats(0.5, 3.0))
@settings(max_examples=20)
def test_distances_are_zero_within_and_grow_with_the_shift(seed: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(160, 6)), rng.normal(size=(160, 6))
    assert frechet_distance(a, a) == pytest.approx(0.0, abs=1e-6)
    near, far = frechet_distance(a, b + shift), frechet_distance(a, b + 2 * shift)
    assert near == pytest.approx(frechet_distance(b + shift, a), rel=1e-6)
    assert far > near > 0
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b, b + shift, b + 3 * shift)]
    assert abs(kernel_distance(unit[0], unit[1])) < 0.12
    assert kernel_distance(unit[0], unit[3]) > kernel_distance(unit[0], unit[2]) > kernel_distance(unit[0], unit[1])


def test_frechet_agrees_with_the_plain_formula() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(90, 5)) @ rng.normal(size=(5, 5)), rng.normal(size=(70, 5)) + 1
    spread_a, spread_b = (LedoitWolf().fit(x).covariance_ for x in (a, b))
    cross = np.trace(np.real(sqrtm(spread_a @ spread_b)))
    plain = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(spread_a) + np.trace(spread_b) - 2 * cross
    assert frechet_distance(a, b) == pytest.approx(plain, rel=1e-6)


def test_the_kernel_distance_is_unbiased() -> None:
    """Over many draws of two alike sets its mean is 0, where the biased one's (with the diagonal) lies far above."""
    found, biased = [], []
    for seed in range(200):
        x = np.random.default_rng(seed).normal(size=(2, 12, 4))
        a, b = x / np.linalg.norm(x, axis=-1, keepdims=True)
        found.append(kernel_distance(a, b))
        aa, bb, ab = ((p @ q.T + 1) ** 3 for p, q in ((a, a), (b, b), (a, b)))
        biased.append(aa.mean() + bb.mean() - 2 * ab.mean())
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(200)
    assert np.mean(biased) > 10 * abs(np.mean(found))


def test_the_feature_that_was_shifted_leads() -> None:
    rng = np.random.default_rng(5)
    real, synthetic = domain(rng, "r"), domain(rng, "s", shift=-3.0)
    found = separating_features(real.statistics_NS, synthetic.statistics_NS)
    assert [each["feature"] for each in found[:1]] == ["noise"]
    assert found[0]["difference"] < -2
    assert sorted(each["feature"] for each in found) == sorted(STATISTICS)
    sizes = [abs(each["difference"]) for each in found]
    assert sizes == sorted(sizes, reverse=True)
    gap = domain_gap(GapConfig(), real=real, synthetic=synthetic)
    assert gap["features"] == found
    assert gap["frechet"] > 2 * gap["frechet_within"] > 0
    assert gap["kid"] > gap["kid_within"]
    assert gap["groups"] == {"real": 60, "synthetic": 60}


def test_one_group_is_too_few() -> None:
    rng = np.random.default_rng(0)
    one = Domain(statistics_NS=np.zeros((4, S)), vectors_ND=np.zeros((4, 3)), groups=["a"] * 4)
    with pytest.raises(InputError, match="real images are of one group"):
        domain_gap(GapConfig(), real=one, synthetic=domain(rng, "s"))


def scene(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 200, (12, 20, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (320, 192), interpolation=cv2.INTER_CUBIC), np.uint8)


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def clipped(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("feature", "change", "sign"),
    [
        ("brightness", lambda x: clipped(x.astype(float) + 40), 1),
        ("contrast", lambda x: clipped(128 + 0.4 * (x.astype(float) - 128)), -1),
        ("saturation", lambda x: np.repeat(x.mean(axis=2, keepdims=True), 3, 2).astype(np.uint8), -1),
        ("colourfulness", lambda x: np.repeat(x.mean(axis=2, keepdims=True), 3, 2).astype(np.uint8), -1),
        ("colour temperature", lambda x: clipped(x * np.array([0.7, 1.0, 1.3])), 1),
        ("shadows", lambda x: clipped(x.astype(float) - 90), 1),
        ("highlights", lambda x: clipped(x.astype(float) + 120), 1),
        ("sharpness", lambda x: cv2.GaussianBlur(x, (0, 0), 4), -1),
        ("edge density", lambda x: cv2.GaussianBlur(x, (0, 0), 8), -1),
        ("noise", lambda x: clipped(x + np.random.default_rng(1).normal(0, 8, x.shape)), 1),
        ("JPEG blockiness", lambda x: jpeg(x, 10), 1),
        ("information", lambda x: x // 64 * 64, -1),
    ],
)
def test_a_statistic_answers_to_what_it_is_named_after(feature: str, change, sign: int) -> None:
    place = STATISTICS.index(feature)
    before, after = image_statistics(scene())[place], image_statistics(change(scene()))[place]
    assert sign * (after - before) > 0.02 * max(abs(before), 0.1)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 255))
@settings(max_examples=30)
def test_statistics_are_finite_for_any_image(height: int, width: int, level: int) -> None:
    flat = np.full((height, width, 3), level, np.uint8)
    assert np.isfinite(image_statistics(flat)).all()
    assert image_statistics(flat).shape == (S,)


def test_the_noise_estimate_is_the_noise() -> None:
    flat = np.full((200, 200, 1), 120.0).repeat(3, 2)
    noisy = clipped(np.round(flat + np.random.default_rng(0).normal(0, 6, (200, 200, 1))))
    assert image_statistics(noisy)[STATISTICS.index("noise")] == pytest.approx(6, rel=0.05)
