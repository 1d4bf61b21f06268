"""Damaged tables give one line that names the file, or frames within bounds: a small part of all
damages, always the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from leapai.data.log import open_logs
from tests.data.test_argoverse2 import LANDMARK_M, Drive
from tests.robustness import mutations

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "nuscenes"
VERSION = "v1.0-mini"
EVERY_NUSCENES, EVERY_ARGOVERSE2 = 67, 9
TABLES = (
    "annotations.feather",
    "city_SE3_egovehicle.feather",
    "calibration/egovehicle_SE3_sensor.feather",
    "calibration/intrinsics.feather",
)


def check(data: str, damaged: str) -> None:
    """Opens and reads the data; raises AssertionError where the promise is broken."""
    try:
        logs = open_logs(data, image_size_px=(48, 64))
        frames = [log[i] for log in logs for i in {0, len(log) - 1}]
    except ValueError as error:
        frames, words = [], str(error)
    else:
        words = ""
    assert bool(frames) != bool(words)
    assert not words or Path(damaged).suffix in words
    assert "\n" not in words
    assert "failed while opening" not in words
    assert [mutations.absurd(frame) for frame in frames] == [[]] * len(frames)


def nuscenes_damages():
    return list(mutations.json_mutations(REAL, VERSION))[::EVERY_NUSCENES] if REAL.is_dir() else []


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no nuScenes sample at {REAL}")
@pytest.mark.parametrize("damage", nuscenes_damages(), ids=lambda damage: damage.name)
def test_nuscenes(tmp_path, damage):
    shutil.copytree(REAL / VERSION, tmp_path / VERSION)
    (tmp_path / VERSION).chmod(0o755)
    (tmp_path / damage.path).chmod(0o644)
    damage.apply(tmp_path / damage.path)
    check(f"nuscenes:{tmp_path}", damage.path)


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    drive = Drive(tmp_path_factory.mktemp("argoverse2") / "log-a")
    for track in ("a", "b", "c"):
        drive.annotate(track, "REGULAR_VEHICLE", range(5), lambda t: LANDMARK_M)
    return drive.write().folder


def test_argoverse2(log, tmp_path):
    damages = list(mutations.feather_mutations(log, TABLES, flips=8))[::EVERY_ARGOVERSE2]
    assert len(damages) > 50
    for number, damage in enumerate(damages):
        folder = tmp_path / str(number)
        shutil.copytree(log, folder, ignore=shutil.ignore_patterns("sensors"))
        damage.apply(folder / damage.path)
        check(f"argoverse2:{folder}", damage.path)
