"""Calibration on gold: how far each labeler's probabilities may be believed, per labeler and field."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter
from scipy.optimize import minimize
from sklearn.isotonic import IsotonicRegression

from drivelet.core.artifacts import Field, ImageArray, Vote
from drivelet.core.ports import Labeler
from drivelet.core.stats import expected_calibration_error

FLOOR = 1e-4
"""No calibrated probability is below this: one labeler alone may doubt, not forbid."""
ENOUGH = 30
"""Gold rows from which on a map is fitted; below, votes are taken as they are."""
FOLDS = 5
BINS = 10

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Gold:
    """A hand-checked label: `label` may be coarse; `group` names what must not be split between folds."""

    item: str
    field: str
    label: str
    group: str = ""


@dataclass(frozen=True, kw_only=True)
class CalibrationMap:
    """How one labeler's probabilities on one field are corrected.

    Attributes:
        method: `identity`, `temperature` (all logits divided by `params[0]`), `platt` (logit of the top probability
            to `a * logit + b`) or `isotonic` (top probability through the steps `x..., y...`).
        params: the method's numbers.
        count: gold rows it was fitted to.
        nll_before: cross-validated negative log-likelihood of the gold without correction; NaN where not measured.
        nll_after: the same with it.
        ece_before, ece_after: expected calibration error of the top answer, held out in the same way.
        accuracy: share of gold rows whose top answer the label allows.
        confusion: gold rows by (true answer, top answer), in the order of the field's choices; coarse labels are left
            out.
        reliability: (mean probability of the top answer, share right, rows) of each bin of corrected held-out
            votes.
        note: why nothing was fitted, or empty.
    """

    method: str = "identity"
    params: tuple[float, ...] = ()
    count: int = 0
    nll_before: float = float("nan")
    nll_after: float = float("nan")
    ece_before: float = float("nan")
    ece_after: float = float("nan")
    accuracy: float = float("nan")
    confusion: tuple[tuple[int, ...], ...] = ()
    reliability: tuple[tuple[float, float, int], ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        count = len(self.params)
        fitting = {
            "identity": True,
            "temperature": count == 1,
            "platt": count == 2,
            "isotonic": count and count % 2 == 0,
        }
        if not fitting.get(self.method) or not np.isfinite(self.params).all():
            raise ValueError(f"{self.method} by {count} numbers is no correction")

    def apply(self, probs: Sequence[float] | Floats) -> Floats:
        """Return the corrected distribution over the same choices."""
        return _apply(self.method, self.params, as_distribution(probs))


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Maps by labeler and field; a pair that is not there is taken as it is."""

    maps: Mapping[str, Mapping[str, CalibrationMap]] = field(default_factory=dict)

    def of(self, labeler: str, name: str) -> CalibrationMap:
        """Return the map for a labeler and field."""
        return self.maps.get(labeler, {}).get(name, CalibrationMap(note="no gold"))

    def as_json(self) -> dict[str, Any]:
        """Return plain data that `from_json` reads back."""
        return {name: {f: asdict(m) for f, m in fields.items()} for name, fields in self.maps.items()}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "Calibration":
        """Return the calibration that `as_json` wrote."""
        return Calibration(
            maps={
                name: {f: TypeAdapter(CalibrationMap).validate_python(m) for f, m in fields.items()}
                for name, fields in data.items()
            }
        )


def as_distribution(probs: Sequence[float] | Floats) -> Floats:
    """Return probabilities that sum to 1, none below FLOOR over the number of choices."""
    values = np.maximum(np.asarray(probs, dtype=float), FLOOR / len(probs))
    return values / values.sum()


def vector(probs: Mapping[str, float], choices: Sequence[str]) -> Floats:
    """Return a vote as a vector in the order of `choices`; what it does not name gets the floor."""
    return as_distribution([probs.get(choice, 0.0) for choice in choices])


def vote_on_images(
    labelers: Sequence[Labeler], images: Iterable[tuple[str, ImageArray]], fields: Mapping[str, Field]
) -> list[Vote]:
    """Return every labeler's votes on (item, image) pairs; the item stands as `drive`, with frame 0."""
    return [
        Vote(drive=item, frame=0, field=name, labeler=labeler.name, family=labeler.family, probs=dict(probs))
        for item, image in images
        for labeler in labelers
        for name, probs in labeler.label(image).items()
        if name in fields
    ]


def calibrate(votes: Sequence[Vote], gold: Sequence[Gold], fields: Mapping[str, Field]) -> Calibration:
    """Fit a map for every labeler and field that voted on gold items.

    Temperature, Platt and isotonic maps compete with the identity in grouped cross-validation on the negative
    log-likelihood of the gold (the probability mass on all answers that a coarse label allows); the identity stays
    where there are fewer than ENOUGH rows.
    """
    truth = {(row.item, row.field): row for row in gold}
    cells: dict[tuple[str, str], list[tuple[Vote, Gold]]] = defaultdict(list)
    for vote in votes:
        row = truth.get((vote.drive, vote.field))
        if row is not None:
            cells[vote.labeler, vote.field].append((vote, row))
    maps: dict[str, dict[str, CalibrationMap]] = defaultdict(dict)
    for (labeler, name), pairs in sorted(cells.items()):
        maps[labeler][name] = _fit_cell(pairs, fields[name])
    return Calibration(maps=dict(maps))


def _fit_cell(pairs: Sequence[tuple[Vote, Gold]], spec: Field) -> CalibrationMap:
    probs_NC = np.stack([vector(vote.probs, spec.choices) for vote, _ in pairs])
    allowed_NC = np.array([[choice in spec.parse(row.label) for choice in spec.choices] for _, row in pairs])
    base = CalibrationMap(
        count=len(pairs),
        accuracy=float(allowed_NC[np.arange(len(pairs)), probs_NC.argmax(axis=1)].mean()),
        confusion=_confusion(probs_NC, allowed_NC),
    )
    if len(pairs) < ENOUGH:
        return replace(base, note=f"fewer than {ENOUGH} gold rows")
    folds_N = np.array([_fold(row.group or row.item) for _, row in pairs])
    held = {method: _held_out(method, probs_NC, allowed_NC, folds_N) for method in FITS}
    scores = {method: _nll(corrected_NC, allowed_NC) for method, corrected_NC in held.items()}
    best = min(scores, key=lambda method: scores[method])
    return replace(
        base,
        method=best,
        params=FITS[best](probs_NC, allowed_NC),
        nll_before=scores["identity"],
        nll_after=scores[best],
        ece_before=_ece(*_top(held["identity"], allowed_NC)),
        ece_after=_ece(*_top(held[best], allowed_NC)),
        reliability=_reliability(*_top(held[best], allowed_NC)),
    )


def _confusion(probs_NC: Floats, allowed_NC: NDArray[np.bool_]) -> tuple[tuple[int, ...], ...]:
    exact_N = allowed_NC.sum(axis=1) == 1
    counts_CC = np.zeros((probs_NC.shape[1],) * 2, int)
    np.add.at(counts_CC, (allowed_NC[exact_N].argmax(axis=1), probs_NC[exact_N].argmax(axis=1)), 1)
    return tuple(tuple(int(n) for n in row) for row in counts_CC)


def _ece(top_N: Floats, right_N: NDArray[np.bool_]) -> float:
    return expected_calibration_error(top_N.tolist(), right_N.tolist())


def _reliability(top_N: Floats, right_N: NDArray[np.bool_]) -> tuple[tuple[float, float, int], ...]:
    """Return the bins of a reliability diagram (Murphy & Winkler 1977) that hold any row."""
    bin_N = np.minimum((top_N * BINS).astype(int), BINS - 1)
    return tuple(
        (round(float(top_N[bin_N == b].mean()), 4), round(float(right_N[bin_N == b].mean()), 4), int(sum(bin_N == b)))
        for b in np.unique(bin_N)
    )


def _fold(group: str) -> int:
    return int.from_bytes(blake2b(group.encode(), digest_size=4).digest(), "big") % FOLDS


def _held_out(method: str, probs_NC: Floats, allowed_NC: NDArray[np.bool_], folds_N: NDArray[np.int64]) -> Floats:
    """Return every row corrected by a map that was fitted without its fold; as it is where there is but one fold."""
    corrected_NC = probs_NC.copy()
    if len(np.unique(folds_N)) == 1:
        return corrected_NC
    for fold in np.unique(folds_N):
        held = folds_N == fold
        params = FITS[method](probs_NC[~held], allowed_NC[~held])
        corrected_NC[held] = [_apply(method, params, row) for row in probs_NC[held]]
    return corrected_NC


def _nll(probs_NC: Floats, allowed_NC: NDArray[np.bool_]) -> float:
    return float(-np.log((probs_NC * allowed_NC).sum(axis=1) + FLOOR).mean())


def _apply(method: str, params: Sequence[float], probs_C: Floats) -> Floats:
    if method == "identity":
        return as_distribution(probs_C)
    if method == "temperature":
        logits_C = np.log(probs_C) / params[0]
        return as_distribution(np.exp(logits_C - logits_C.max()))
    top = int(probs_C.argmax())
    belief = _top_belief(method, params, float(probs_C[top]))
    rest_C = np.delete(probs_C, top)
    rest_C = rest_C / rest_C.sum() * (1 - belief)
    return as_distribution(np.insert(rest_C, top, belief))


def _top_belief(method: str, params: Sequence[float], top: float) -> float:
    if method == "platt":
        logit = math.log(top / max(1 - top, 1e-9))
        return 1 / (1 + math.exp(-min(max(params[0] * logit + params[1], -30.0), 30.0)))
    half = len(params) // 2
    return float(np.interp(top, params[:half], params[half:]))


def _fit_temperature(probs_NC: Floats, allowed_NC: NDArray[np.bool_]) -> tuple[float, ...]:
    def loss(log_t: Floats) -> float:
        logits_NC = np.log(probs_NC) / math.exp(float(log_t[0]))
        scaled_NC = np.exp(logits_NC - logits_NC.max(axis=1, keepdims=True))
        return _nll(scaled_NC / scaled_NC.sum(axis=1, keepdims=True), allowed_NC)

    fitted = minimize(loss, np.zeros(1), method="L-BFGS-B", bounds=[(-2.3, 3.0)])
    return (math.exp(float(fitted.x[0])),)


def _fit_platt(probs_NC: Floats, allowed_NC: NDArray[np.bool_]) -> tuple[float, ...]:
    top_N, right_N = _top(probs_NC, allowed_NC)
    logit_N = np.log(top_N / np.maximum(1 - top_N, 1e-9))
    # Platt's own smoothing of the targets keeps a perfect labeler's slope finite.
    target_N = np.where(right_N, (right_N.sum() + 1) / (right_N.sum() + 2), 1 / ((~right_N).sum() + 2))

    def loss(ab: Floats) -> float:
        z_N = ab[0] * logit_N + ab[1]
        return float((np.logaddexp(0, z_N) - target_N * z_N).mean() + 1e-3 * (ab[0] - 1) ** 2)

    fitted = minimize(loss, np.array([1.0, 0.0]), method="L-BFGS-B", bounds=[(0.0, 5.0), (-10.0, 10.0)])
    return (float(fitted.x[0]), float(fitted.x[1]))


def _fit_isotonic(probs_NC: Floats, allowed_NC: NDArray[np.bool_]) -> tuple[float, ...]:
    top_N, right_N = _top(probs_NC, allowed_NC)
    model = IsotonicRegression(y_min=0.02, y_max=0.98, out_of_bounds="clip").fit(top_N, right_N.astype(float))
    return (*map(float, model.X_thresholds_), *map(float, model.y_thresholds_))


def _top(probs_NC: Floats, allowed_NC: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.bool_]]:
    best_N = probs_NC.argmax(axis=1)
    rows_N = np.arange(len(probs_NC))
    return probs_NC[rows_N, best_N], allowed_NC[rows_N, best_N]


FITS: dict[str, Callable[[Floats, NDArray[np.bool_]], tuple[float, ...]]] = {
    "identity": lambda probs_NC, allowed_NC: (),
    "temperature": _fit_temperature,
    "platt": _fit_platt,
    "isotonic": _fit_isotonic,
}
