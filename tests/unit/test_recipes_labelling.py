import pytest

from drivelet.adapters.executors import LocalExecutor
from drivelet.core.errors import InputError
from drivelet.drives.ingest import IngestConfig, ingest
from drivelet.labels.label import LabelConfig
from drivelet.recipes.labelling import label_drives
from log_files import write_comma_minute


def test_drives_of_sensors_alone_are_not_labelled(tmp_path):
    drive = ingest(IngestConfig(), source=write_comma_minute(tmp_path / "minute.npz"), out=tmp_path / "drive")
    with pytest.raises(InputError, match="no drive with pictures"):
        label_drives(
            LabelConfig(), drives=drive, teacher=tmp_path, gold=[],
            executor=LocalExecutor(workers=1), out=tmp_path / "out",
        )  # fmt: skip
