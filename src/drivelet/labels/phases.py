"""The chains of the driving fields: which answers follow each other, for how long, and what a standing car changes."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from drivelet.core.artifacts import UNKNOWN, Field
from drivelet.labels.calibrate import Floats
from drivelet.labels.hmm import Chain

ALERT = "intersection.alert"
FROZEN = 0.01
"""While the car stands, a thing that only motion brings into sight or out of it changes this often in a second."""

ENDS_AT_JUNCTION = 0.8
"""Share of limits in force that end where the car has passed a junction."""

LAMP_CYCLE = ("red", "green", "yellow")
LAMP_SECONDS = {"red": 12.0, "green": 12.0, "yellow": 3.0}
"""Mean length of a phase; yellow lasts 3 to 6 s by rule (MUTCD 4F.17)."""
LAMP_DRIVER = {
    "red": (1.0, 0.0, 0.15),
    "yellow": (0.6, -0.3, 0.3),
    "green": (0.2, -0.4, 1.0),
    "off": (0.4, -0.1, 1.0),
    "none": (0.15, -0.1, 1.0),
}
"""State -> how likely a driver stops there, compared with red; the log-likelihood of each second that he waits on; and
how likely he sets off, compared with green. Cars also stop for other cars, so that none of it is certain."""
LAMP_STAGES = {"red": 2, "green": 2, "yellow": 4}
"""A phase is this many equal stages in a row, which makes very short ones unlikely (Erlang 1917)."""

Rates = dict[tuple[int, int], float]


def lamp_chain(choices: Sequence[str]) -> Chain:
    """Return the chain of `traffic_light.state`: phases in their legal order, each in sight or hidden, `off`, `none`.

    A hidden lamp shows `none` and goes on changing. A light appears, or is passed, while the car drives.
    """
    stages = [(phase, stage) for phase in LAMP_CYCLE for stage in range(LAMP_STAGES[phase])] + [("off", 0)]
    lit, none = len(stages), 2 * len(stages)
    driving: Rates = {}
    standing: Rates = {}
    for here, (phase, _) in enumerate(stages):
        for rates in (driving, standing):
            _hide(rates, here, lit + here, leave=0.12, back=0.7)
            for base in (0, lit):
                _advance(rates, stages, base, here, phase)
        appear = 0.06 / (LAMP_STAGES.get(phase, 1))
        driving[none, here] = appear
        driving[here, none], driving[lit + here, none] = 0.08, 0.2
        standing[none, here] = FROZEN * appear
        standing[here, none] = standing[lit + here, none] = 0.1 * FROZEN
    names = [phase for phase, _ in stages]
    return _chain(
        choices, shows=[*names, *["none"] * lit, "none"], means=[*names, *names, "none"],
        hidden=[False] * lit + [True] * lit + [False], driving=driving, standing=standing, driver=LAMP_DRIVER,
    )  # fmt: skip


def _advance(rates: Rates, stages: Sequence[tuple[str, int]], base: int, here: int, phase: str) -> None:
    """Let a stage give way to the next; the last stage of a phase to the first of the phase that may follow."""
    if phase == "off":
        for there, (other, _) in enumerate(stages[:-1]):
            rates[base + here, base + there] = 0.01 / LAMP_STAGES[other]
        return
    cycle = len(stages) - 1
    rates[base + here, base + (here + 1) % cycle] = LAMP_STAGES[phase] / LAMP_SECONDS[phase]
    rates[base + here, base + cycle] = 0.003


def _hide(rates: Rates, seen: int, hidden: int, *, leave: float, back: float) -> None:
    rates[seen, hidden] = leave
    rates[hidden, seen] = back


def count_chain(choices: Sequence[str]) -> Chain:
    """Return the chain of `cone.count`: bins give way to their neighbours, and only while the car drives."""
    bins = [choice for choice in choices if choice != UNKNOWN]
    driving: Rates = {}
    for here, there in pairwise(range(len(bins))):
        driving[here, there] = driving[there, here] = 0.5
    for here in range(len(bins)):
        for there in range(len(bins)):
            driving.setdefault((here, there), 0.04)
    standing = {pair: 5 * FROZEN * rate for pair, rate in driving.items()}
    return _plain(choices, bins, driving, standing)


def path_chain(choices: Sequence[str]) -> Chain:
    """Return the chain of `cone.in_path`."""
    return _sticky(choices, driving=0.25, standing=FROZEN)


def alert_chain(choices: Sequence[str]) -> Chain:
    """Return the chain of `intersection.alert`: a standing car keeps its junction, whose light may change."""
    answers = [choice for choice in choices if choice != UNKNOWN]
    driving, standing = _all_pairs(answers, 0.2), _all_pairs(answers, FROZEN)
    for pair in ((1, 2), (2, 1)):
        standing[pair] = 0.1
    return _plain(choices, answers, driving, standing)


def sign_chain(choices: Sequence[str]) -> Chain:
    """Return the chain of `speed_limit.posted`: a value in sight, then in force until the next sign in sight.

    A value that is in force and out of sight shows `none`. A junction that the car has passed ends most limits, by the
    rule of many countries and because signs are put up again behind it; elsewhere a limit fades slowly.
    """
    values = [choice for choice in choices if choice not in (UNKNOWN, "none")]
    count, none = len(values), 2 * len(values)
    driving: Rates = {}
    for here in range(count):
        driving[none, here] = 0.1 / count
        driving[here, count + here] = 0.4
        driving[count + here, here] = 0.02
        driving[count + here, none] = 0.002
        for there in range(count):
            if there != here:
                driving[here, there] = 0.02 / count
                driving[count + here, there] = 0.1 / count
    standing = {pair: 0.1 * FROZEN * rate for pair, rate in driving.items()}
    passed_SS = np.eye(none + 1)
    for value in range(count, none):
        passed_SS[value, value], passed_SS[value, none] = 1 - ENDS_AT_JUNCTION, ENDS_AT_JUNCTION
    return _chain(
        choices, shows=[*values, *["none"] * count, "none"], means=[*values, *values, "none"],
        hidden=[False] * count + [True] * count + [False], driving=driving, standing=standing, passed_SS=passed_SS,
    )  # fmt: skip


def recommended_chain(choices: Sequence[str]) -> Chain:
    """Return the chain of `speed_limit.recommended`: nothing that caps the speed of a standing car comes or goes."""
    return _sticky(choices, driving=0.15, standing=FROZEN)


def default_chain(choices: Sequence[str]) -> Chain:
    """Return a chain whose answers all follow each other, seldom."""
    return _sticky(choices, driving=0.2, standing=0.05)


BUILDERS: Mapping[str, Callable[[Sequence[str]], Chain]] = {
    "traffic_light.state": lamp_chain,
    "cone.count": count_chain,
    "cone.in_path": path_chain,
    ALERT: alert_chain,
    "speed_limit.posted": sign_chain,
    "speed_limit.recommended": recommended_chain,
}


def junctions_passed(alerts: Sequence[str], standing: Sequence[bool | None]) -> list[bool]:
    """Return whether the car has passed a junction since the frame before: its alert ends while the car drives."""
    ends = [False, *(before not in ("none", UNKNOWN) and now == "none" for before, now in pairwise(alerts))]
    return [end and stands is not True for end, stands in zip(ends, standing, strict=True)]


def chain_of(spec: Field) -> Chain:
    """Return the chain of a field; a field without one of its own gets the default."""
    return BUILDERS.get(spec.name, default_chain)(spec.choices)


def _sticky(choices: Sequence[str], *, driving: float, standing: float) -> Chain:
    answers = [choice for choice in choices if choice != UNKNOWN]
    return _plain(choices, answers, _all_pairs(answers, driving), _all_pairs(answers, standing))


def _all_pairs(answers: Sequence[str], leave: float) -> Rates:
    """Rates that leave every answer `leave` times a second, for each other answer alike."""
    count = len(answers)
    return {(a, b): leave / (count - 1) for a in range(count) for b in range(count) if a != b}


def _plain(choices: Sequence[str], answers: Sequence[str], driving: Rates, standing: Rates) -> Chain:
    return _chain(
        choices, shows=answers, means=answers, hidden=[False] * len(answers), driving=driving, standing=standing
    )


def _chain(
    choices: Sequence[str], *, shows: Sequence[str], means: Sequence[str], hidden: Sequence[bool], driving: Rates,
    standing: Rates, driver: Mapping[str, tuple[float, float, float]] | None = None, passed_SS: Floats | None = None,
) -> Chain:  # fmt: skip
    place = {choice: number for number, choice in enumerate(choices)}
    conduct_S3 = np.array([(driver or {}).get(name, (1.0, 0.0, 1.0)) for name in means])
    # Every answer is as likely at the start; its states share it.
    share = np.array([0.0 if dark else 1.0 / _alike(means, hidden, state) for state, dark in enumerate(hidden)])
    return Chain(
        shows=tuple(place[name] for name in shows),
        means=tuple(place[name] for name in means),
        hidden=tuple(hidden),
        driving=_matrix(driving, len(shows)),
        standing=_matrix(standing, len(shows)),
        start=share / share.sum(),
        halt=np.log(conduct_S3[:, 0]),
        stay=conduct_S3[:, 1],
        set_off=np.log(conduct_S3[:, 2]),
        passed=passed_SS,
    )


def _alike(means: Sequence[str], hidden: Sequence[bool], state: int) -> int:
    return sum(name == means[state] and not dark for name, dark in zip(means, hidden, strict=True))


def _matrix(rates: Rates, size: int) -> Floats:
    matrix_SS = np.zeros((size, size))
    for (here, there), rate in rates.items():
        if here != there:
            matrix_SS[here, there] = rate
    np.fill_diagonal(matrix_SS, -matrix_SS.sum(axis=1))
    return matrix_SS
