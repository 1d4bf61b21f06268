"""What docs/using.md shows works as it stands there, and its tables are those of the package."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from leapai.data.argoverse2.argoverse2_classes import CATEGORIES
from leapai.data.log import open_logs
from leapai.data.nuscenes.nuscenes_classes import COUNTERPARTS
from leapai.streaming.sensor_health import STALE_AFTER_S, SensorStatus

TEXT = (Path(__file__).parents[1] / "docs" / "using.md").read_text()


def test_its_programs_run_one_after_another(monkeypatch, tmp_path, capsys):
    pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    (log,) = open_logs("synthetic:frames=2", image_size_px=(128, 240))
    fault = "back: samples/x.jpg: cannot be decoded"
    cameras = tuple(replace(c, image=None) if c.name == "back" else c for c in log[1].cameras)
    names = {"drive": [log[0], replace(log[1], cameras=cameras, faults=(fault,))]}
    for program in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        exec(program, names)
    assert len(names["rows"]) == names["table"].num_rows == len(names["detections"]) > 0
    assert names["image"].ndim == 3
    assert (tmp_path / "bev.png").is_file()
    (shown,) = re.findall(r"state\.reason\)  # (.*)", TEXT)
    assert capsys.readouterr().out == f"{shown}\n"


def test_its_table_of_classes_is_that_of_the_writers():
    for name, counterpart in COUNTERPARTS.items():
        attribute = f", `{counterpart.attribute}`" if counterpart.attribute else ""
        cells = (name, counterpart.detection + attribute, counterpart.tracking, CATEGORIES[name])
        row = "|".join(f" {cell} " if cell else " " for cell in cells)
        assert f"|{row}|\n" in TEXT


def test_its_table_of_health_is_whole():
    for status in SensorStatus:
        assert f"| `{status}` |" in TEXT
    assert f"more than {STALE_AFTER_S} s from" in TEXT
