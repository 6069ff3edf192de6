"""What labelling left behind about one field, in columns of one length."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivelet.core.artifacts import UNKNOWN


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Votes and labels on F frames for one field.

    Attributes:
        choices: the C answers, in the order of the last axis.
        labelers: the L sources of votes, in the order of the middle axis.
        votes_FLC: distributions of the labelers; NaN where one was silent.
        probs_FC: the label's distribution; NaN where the frame was not labelled for the field.
        stability_F: share of the window's frames that agree with the label by themselves; NaN where not labelled.
        reasons: why the label was rejected, or empty.
    """

    choices: tuple[str, ...]
    labelers: tuple[str, ...]
    votes_FLC: NDArray[np.float64]
    probs_FC: NDArray[np.float64]
    stability_F: NDArray[np.float64]
    reasons: Sequence[str]

    def labelled(self) -> NDArray[np.bool_]:
        """Return which frames were labelled for the field."""
        return np.asarray(~np.isnan(self.probs_FC).any(axis=1))

    def told(self) -> dict[str, NDArray[np.bool_]]:
        """Return for every answer but `unknown` the frames that likely show it: it has half of the probability."""
        probs_FC = np.nan_to_num(self.probs_FC)
        return {c: probs_FC[:, i] >= 0.5 for i, c in enumerate(self.choices) if c != UNKNOWN}
