"""Peak memory is this process's own: neither what its parent took nor what came before the baseline."""

import json
import subprocess
import sys

import numpy as np
import pytest

from drivelet.core import memory

MB = 10**6
CHILD = """
import json
import numpy as np
from drivelet.core import memory
big = np.ones(150 * 10**6, np.uint8)
del big
baseline = memory.begin()
own = np.ones(60 * 10**6, np.uint8)
del own
print(json.dumps(memory.peaks(baseline)))
"""


@pytest.mark.skipif(not memory.CLEAR.exists(), reason="this system does not tell")
def test_a_childs_peak_is_its_own() -> None:
    parent = np.ones(500 * MB, np.uint8)
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    whole, above = json.loads(done.stdout)
    assert parent.nbytes / MB > whole > 150
    assert above == pytest.approx(60, abs=10)


def test_where_nothing_is_told_the_part_above_is_unknown(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "STATUS", tmp_path / "status")
    monkeypatch.setattr(memory, "CLEAR", tmp_path / "no" / "clear_refs")
    whole, above = memory.peaks(memory.begin())
    assert whole > 1 and above is None
