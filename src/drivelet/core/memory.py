"""What this process holds of memory, as Linux counts it for this program alone.

`ru_maxrss` would not do: a program inherits the peak of the process that started it.
"""

import resource
from dataclasses import dataclass, replace
from pathlib import Path

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
FORGET_PEAK = "5"
"""What proc(5) takes to set VmHWM back to the resident set of now."""


def peak_rss_mb() -> float:
    """Return the largest resident set so far, in MB (10^6 bytes); where there is no /proc, what the kernel says."""
    peak = _kept("VmHWM")
    return peak if peak is not None else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What a process held when it began to be watched, and its peak until then, in MB; None where it is not known."""

    rss_mb: float | None
    peak_mb: float


def begin() -> Baseline:
    """Forget the peak so far: begun after the imports, what comes on top is a model's."""
    baseline = Baseline(rss_mb=_kept("VmRSS"), peak_mb=peak_rss_mb())
    try:
        CLEAR.write_text(FORGET_PEAK)
    except OSError:
        return replace(baseline, rss_mb=None)
    return baseline


def peaks(baseline: Baseline) -> tuple[float, float | None]:
    """Return the process's peak in MB, and how far it rose above the baseline since (None where it is not known)."""
    after = peak_rss_mb()
    above = None if baseline.rss_mb is None else max(after - baseline.rss_mb, 0.0)
    return max(after, baseline.peak_mb), above


def _kept(name: str) -> float | None:
    """Return a line of the process's status in MB."""
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return None
    kilobytes = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return int(kilobytes[0]) * 1024 / 1e6 if kilobytes else None
