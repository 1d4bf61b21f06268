"""A newcomer's first ten minutes: the commands, on real frames, on files and on a plug-in."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from PIL import Image

from leapai import cli
from tests.data.folder.made_up_drive import write_drive

REAL = Path(__file__).resolve().parents[2] / "shared" / "data"
NUSCENES, ARGOVERSE2 = REAL / "nuscenes", REAL / "argoverse2" / "val"
needs_real_data = pytest.mark.skipif(
    not NUSCENES.is_dir(), reason=f"real frames are not here: {REAL}"
)
QUIET = ("--no-pictures",)

PLUG_IN = """
import numpy as np
from leapai.data.log import DrivingLog
from tests.scenes import make_frame

class OurLog(DrivingLog):
    name = "ours"
    timestamps_us = np.array([make_frame(i).timestamp_us for i in range(2)])

    def __getitem__(self, index):
        return make_frame(index, sequence=self.name)

def open_logs(location, options):
    return [OurLog()]
"""


def leapai(*arguments):
    """Runs a command as a user types it; returns its exit status."""
    return cli.main([str(argument) for argument in arguments])


def detections(folder):
    return pq.read_table(folder / "detections.parquet").to_pylist()


@needs_real_data
def test_predict_on_a_real_frame_with_a_picture(tmp_path, capsys):
    assert leapai("predict", NUSCENES, "--output", tmp_path) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "predict nuscenes:" in text
    assert "the embedded world alone" in text
    assert "no camera of the groups front_narrow" in text
    assert {row["sequence"] for row in detections(tmp_path)} == {"scene-0061"}
    with Image.open(tmp_path / "pictures" / "scene-0061" / "000000.png") as picture:
        assert picture.width > 1000
    written = json.loads((tmp_path / "prediction.json").read_text())
    assert written["sensors"]["CAM_FRONT"] == {"ok": 1}


@needs_real_data
def test_predict_on_the_argoverse_2_log_whose_images_are_missing(tmp_path, capsys):
    assert leapai("predict", ARGOVERSE2, *QUIET, "--max-frames", "2", "--output", tmp_path) == 0
    written = json.loads((tmp_path / "prediction.json").read_text())
    assert written["data"] == f"argoverse2:{ARGOVERSE2}"
    assert written["frames"] == 2
    assert written["sensors"]["ring_front_center"] == {"missing": 2}
    assert not (tmp_path / "pictures").exists()
    text = " ".join(capsys.readouterr().out.split())
    assert "In 2 of 2 frames no sensor is in order" in text


@needs_real_data
def test_predict_on_a_folder_of_three_real_sweeps(tmp_path, caplog):
    (sweep,) = (NUSCENES / "samples" / "LIDAR_TOP").glob("*.bin")
    folder = tmp_path / "sweeps"
    folder.mkdir()
    for number in range(3):
        shutil.copy(sweep, folder / f"{number}.pcd.bin")
    assert leapai("predict", folder, *QUIET, "--output", tmp_path / "out") == 0
    assert "defaults hold" in caplog.text
    frames = pq.read_table(tmp_path / "out" / "frames.parquet")
    assert frames["timestamp_us"].to_pylist() == [0, 100_000, 200_000]
    tracks = pq.read_table(tmp_path / "out" / "tracks.parquet")
    assert max(tracks["frames"].to_pylist()) == 3


@needs_real_data
def test_predict_on_one_real_sweep_of_another_format(tmp_path):
    path = next((ARGOVERSE2).glob("*/sensors/lidar/*.feather"))
    table = pyarrow.feather.read_table(path, columns=["x", "y", "z", "intensity"])
    np.save(tmp_path / "sweep.npy", np.column_stack(table.columns))
    assert leapai("predict", tmp_path / "sweep.npy", *QUIET, "--output", tmp_path / "out") == 0
    assert detections(tmp_path / "out")


def test_predict_and_inspect_on_a_folder_with_a_camera(tmp_path, capsys):
    drive = write_drive(tmp_path / "monday", frames=2)
    out = tmp_path / "out"
    with pytest.raises(SystemExit, match="1"):  # its made-up points lie on no ground
        leapai("inspect", drive, "--output", tmp_path / "inspect", "--pictures", "1")
    assert "front" in capsys.readouterr().out
    assert leapai("predict", drive, *QUIET, "--output", out / "predict") == 0
    assert json.loads((out / "predict" / "prediction.json").read_text())["frames"] == 2
    assert "mAP" not in capsys.readouterr().out


def test_predict_on_a_plug_in_with_a_setting(tmp_path, monkeypatch):
    (tmp_path / "our_reader.py").write_text(PLUG_IN)
    monkeypatch.syspath_prepend(tmp_path)
    source = "our_reader:open_logs:anywhere"
    counts = {}
    for most in (5, 300):
        setting = f"evaluation.max_detections={most}"
        out = tmp_path / str(most)
        assert leapai("predict", source, *QUIET, "--set", setting, "--output", out) == 0
        counts[most] = len(detections(out))
    sys.modules.pop("our_reader")
    assert counts[5] == 10 < counts[300]


def test_a_mistyped_source_is_one_line(capsys):
    assert leapai("predict", "my_foldr") == 2
    error = capsys.readouterr().err
    assert "there is no data set 'my_foldr'" in error
    assert "or name a folder or file that exists" in error
    assert error.count("\n") == 1
