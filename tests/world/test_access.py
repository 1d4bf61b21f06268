"""Access to the embedded world: splits, ground truth without sensors, version, missing Embree."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest

from leapai.data import log as data_log
from leapai.data.log import OpenOptions
from leapai_world import SPLITS, WORLD_VERSION, open_logs, world
from leapai_world.places.builders import open_place
from leapai_world.places.place import Place
from leapai_world.world import open_world
from tests.world.test_sequence import digest

SIZE_PX = (16, 30)
SENSED = ("visible_fraction", "occlusion_level", "num_lidar_points")
"""Fields of labels that only sensors measure."""


def test_splits_have_seeds_of_their_own():
    names = [
        {log.name for log in open_logs(f"{which},drives=2,frames=1", OpenOptions(SIZE_PX))}
        for which in ("split=train", "split=val", "split=test", "seed=0", "seed=1000000")
    ]
    assert [len(group) for group in names] == [2] * 5
    assert len(set.union(*names)) == 10


def test_the_longest_split_and_the_last_seed_of_a_user_do_not_meet():
    most_drives, last_seed = 100_000, 1_000_000
    train, val, test = SPLITS["train"], SPLITS["val"], SPLITS["test"]
    assert last_seed + most_drives <= train
    assert train + most_drives <= val
    assert val + most_drives <= test


def test_the_clock_of_the_last_drive_stays_below_32_bits():
    """ROS and others count seconds in 32 bits, signed: they end in 2038."""
    one, other = open_logs("split=test,drives=2,frames=100000,rate_hz=1", OpenOptions(SIZE_PX))
    apart_us = other.timestamps_us[0] - one.timestamps_us[0]
    assert (one.timestamps_us[-1] + 99_999 * apart_us) / 1e6 < 2**31
    first = open_logs("seed=0,frames=1", OpenOptions(SIZE_PX))[0]
    assert first.timestamps_us[0] / 1e6 > 1e9


def test_fewer_drives_of_a_split_are_its_first():
    some, more = (
        open_logs(f"split=val,drives={count},frames=1", OpenOptions(SIZE_PX)) for count in (1, 2)
    )
    assert [log.name for log in some] == [log.name for log in more[:1]]


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("split=tests", "there is no split 'tests'; use one of: train, val, test"),
        ("split=val,seed=3", "split and seed contradict each other"),
    ],
)
def test_a_wrong_split_is_named_with_its_remedy(location, said):
    with pytest.raises(ValueError, match=said):
        open_logs(location, OpenOptions(SIZE_PX))


@pytest.fixture
def one_place(monkeypatch):
    """All drives of a test are in the place of the first: building places takes nearly all time."""
    built: list[Place] = []

    def open_first(*which) -> Place:
        if not built:
            built.append(open_place(*which))
        return built[0]

    monkeypatch.setattr(world, "open_place", open_first)
    open_world.cache_clear()
    yield
    open_world.cache_clear()


@pytest.mark.usefixtures("one_place")
def test_listing_drives_makes_none_and_few_stay_in_memory():
    before = open_world.cache_info().misses
    logs = open_logs("split=train,drives=1000,frames=1,beams=2", OpenOptions(SIZE_PX))
    assert open_world.cache_info().misses == before
    for log in logs[:30]:
        log.ground_truth(0)
    assert open_world.cache_info().currsize < 30


def test_truth_is_the_frame_without_what_sensors_tell():
    log = open_logs("seed=5,frames=3,beams=4", OpenOptions(SIZE_PX))[0]
    frame, truth = log[2], log.ground_truth(2)
    assert truth.timestamp_us == frame.timestamp_us
    assert np.array_equal(truth.ego2global, frame.ego2global)
    assert truth.cameras == ()
    assert truth.points is None
    for field in fields(frame.labels):
        own, full = (getattr(labels, field.name) for labels in (truth.labels, frame.labels))
        if field.name in SENSED:
            assert np.isnan(own).all() if own.dtype == float else (own == -1).all()
        else:
            assert np.array_equal(own, full), field.name


EVERY_PLACE = "seed=10,drives=5,frames=3,beams=4"


def test_without_embree_opening_names_the_extra_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "embreex", None)
    with pytest.raises(ValueError, match=r"cast rays with Embree.*pip install 'leapai\[world\]'"):
        data_log.open_logs("synthetic:frames=1", image_size_px=SIZE_PX)


def test_the_version_of_the_world_is_known_without_embree():
    program = "import sys; sys.modules['embreex'] = None; import leapai_world as w; "
    found = subprocess.run(
        [sys.executable, "-c", program + "print(w.WORLD_VERSION)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == WORLD_VERSION


def digests(order: str) -> list[str]:
    """Returns digests of one frame of every place, in the order of the sequences."""
    logs = open_logs(EVERY_PLACE, OpenOptions(SIZE_PX))
    if order == "backward":
        for log in reversed(logs):
            log[2]
        found = [digest(log[1]) for log in reversed(logs)]
        return found[::-1]
    return [digest(log[1]) for log in logs]


@pytest.mark.processes
def test_every_place_is_the_same_in_two_processes_in_another_order():
    program = "from tests.world.test_access import *\nprint(*digests('backward'))"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as other:
        here = digests("forward")
        there, _ = other.communicate()
    assert other.returncode == 0
    assert there.split() == here
    assert len(set(here)) == 5
