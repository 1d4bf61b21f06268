"""Figures of `leapai inspect --stats` on drives whose figures are known."""

from __future__ import annotations

import weakref
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from leapai.data.log import DrivingLog, open_logs
from leapai.geometry import poses
from leapai.inspection.comparison import compare, render_statistics, spread
from leapai.inspection.samples import Sample, Samples, Shares
from leapai.inspection.statistics import collect
from leapai.types import CLASS_NAMES, CameraFrame, Frame, Labels

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "argoverse2"
CAR, PERSON, PILLAR = (CLASS_NAMES.index(name) for name in ("car", "person", "pillar"))


class MadeUpLog(DrivingLog):
    """Ten frames a second, the ego turning: a car that turns 20 degrees a second at 8 m/s, a person
    who leaves after 1 s, a pillar, and a car out of the BEV range."""

    def __init__(self, frames=31):
        self.name = "made up"
        self.frames = frames

    @property
    def timestamps_us(self):
        return 1_000_000_000 + 100_000 * np.arange(self.frames)

    def __getitem__(self, index):
        time_s, ego_yaw = 0.1 * index, 0.05 * index
        boxes = [
            [10, 5, 0.8, 4.5, 1.9, 1.5, np.radians(20 * time_s) - ego_yaw],
            [20, 0, 0.9, 0.6, 0.6, 1.7, 0],
            [-3, 4, 0.5, 0.2, 0.2, 1.0, 0],
            [90, 0, 0.8, 4.5, 1.9, 1.5, 0],
        ]
        labels = Labels.unlabelled(np.array(boxes), np.array([CAR, PERSON, PILLAR, CAR]))
        labels.velocity_mps[0, :2] = 8 * np.cos(time_s), 8 * np.sin(time_s)
        labels.velocity_valid[:3] = True
        labels.track_id[:] = [7, 8, 9, 10]
        labels.num_lidar_points[:] = [500, 40, 0, 1]
        labels.occlusion_level[:] = [0, 3, 3, 3]
        pose = poses.from_xyz_yaw(np.array([5e5, 5e6, 100.0]), np.array(ego_yaw))
        kept = labels if index <= 10 else labels.select(np.array([0, 2, 3]))
        return Frame(self.name, int(self.timestamps_us[index]), pose, (), None, kept)


@pytest.fixture(scope="module")
def samples():
    return collect([MadeUpLog(), MadeUpLog()], 5)


def values(samples: Samples, name: str) -> np.ndarray:
    return next(s.values for row in samples.rows for s in row if s.name == name)


def share(samples: Samples, name: str, kind: str) -> float:
    shares = next(s for s in samples.shares if s.name == name)
    return float(shares.share[shares.kinds.index(kind)])


def test_boxes_are_counted_in_the_bev_range_alone(samples):
    assert sorted(set(values(samples, "objects a frame"))) == [2, 3]
    assert sorted(set(values(samples, "objects with points a frame"))) == [1, 2]
    assert set(values(samples, "distance, MOD").round(3)) == {round(125**0.5, 3)}
    assert share(samples, "classes", "car") == pytest.approx(31 / 73)


def test_motion_is_that_over_ground(samples):
    assert np.allclose(values(samples, "speed, MOD that moves"), 8.0)
    turns = values(samples, "turn in 1 s, MOD that moves")
    assert len(turns) == 2 * 21
    assert np.allclose(turns, 20.0)
    assert len(values(samples, "speed, VRU that moves")) == 0
    assert share(samples, "moving", "MOD") == 1
    assert share(samples, "moving", "VRU") == 0


def test_tracks_are_told_apart_by_drive(samples):
    assert values(samples, "life of a track, VRU") == pytest.approx([1.0, 1.0])
    assert values(samples, "life of a track, MOD") == pytest.approx([3.0, 3.0])
    assert values(samples, "length, car").tolist() == [4.5, 4.5]


def test_points_are_grouped_by_distance(samples):
    assert set(values(samples, "points in a MOD, 6-12 m")) == {500}
    assert set(values(samples, "points in a VRU, 12-24 m")) == {40}
    assert len(values(samples, "points in a MOD, 24-60 m")) == 0
    assert share(samples, "occlusion", "no") == pytest.approx(31 / 73)


def of(numbers) -> Samples:
    quantity = Sample("speed", "m/s", np.asarray(numbers, np.float64))
    return Samples(((quantity,),), (Shares("classes", ("car",), np.array([np.nan])),))


@pytest.mark.parametrize(
    ("own", "other", "share_covered", "covered"),
    [
        (np.linspace(0, 10, 1001), np.linspace(2, 8, 100), 1.0, True),
        (np.linspace(0, 10, 1001), [*np.linspace(2, 8, 98), 50, 60], 0.98, True),
        (np.linspace(0, 10, 1001), np.linspace(0, 20, 201), 0.49, False),
        ([], [1.0, 2.0], 0.0, False),
        ([1.0], [], None, None),
    ],
)
def test_covered_is_what_lies_within(own, other, share_covered, covered):
    quantity = compare("a", of(own), "b", of(other)).quantities[0]
    assert quantity.covered == covered
    if share_covered is None:
        assert quantity.share_covered is None
    else:
        assert quantity.share_covered == pytest.approx(share_covered, abs=0.01)


def test_a_data_set_alone_has_metrics_without_a_comparison():
    statistics = compare("a", of([1.0, 2.0, 3.0]), None, None)
    assert statistics.quantities[0].data == spread(np.array([1.0, 2.0, 3.0]))
    assert statistics.quantities[0].data.median == 2.0
    assert statistics.quantities[0].against is None
    assert statistics.shares[0].data is None
    render_statistics(statistics)


def test_small_values_such_as_intensities_keep_their_digits():
    output = StringIO()
    Console(width=120, file=output).print(render_statistics(compare("a", of([0.0161]), None, None)))
    assert "0.016 0.016 0.016" in output.getvalue()


def test_quantities_without_values_are_no_rows_of_the_table():
    quantities = (Sample("speed", "m/s", np.array([1.0])), Sample("height", "m", np.zeros(0)))
    output = StringIO()
    statistics = compare("a", Samples((quantities,), of([]).shares), None, None)
    Console(width=120, file=output).print(render_statistics(statistics))
    assert "speed" in output.getvalue()
    assert "height" not in output.getvalue()


def test_data_without_boxes_is_an_error_with_its_remedy():
    with pytest.raises(ValueError, match=r"made up: no boxes.*name data with labels"):
        collect([MadeUpLog(0)], 5)


def test_the_embedded_world_is_sampled_for_what_only_sensors_tell():
    logs = open_logs("synthetic:seed=2,frames=12,beams=8", image_size_px=(16, 30))
    assert (logs[0].ground_truth(0).labels.num_lidar_points == -1).all()
    samples = collect(logs, 1)
    counted = sum(len(s.values) for s in samples.rows[1])
    assert 0 < counted <= len(logs[0][0].labels) + 20
    assert len(values(samples, "objects a frame")) == 12
    assert sum(share(samples, "occlusion", k) for k in ("no", "heavily")) > 0.3
    assert len(values(samples, "points a sweep")) == 1
    assert 0.02 < np.median(values(samples, "intensity, ground up to 30 m")) < 0.08


def test_without_a_lidar_boxes_hold_an_unknown_number_of_points(tmp_path):
    rig = tmp_path / "rig.json"
    front = '"name": "front", "group": "front_wide", "position_m": [1.7, 0.0, 1.5]'
    view = '"yaw_deg": 0, "horizontal_view_deg": 90'
    rig.write_text(f'{{"cameras": [{{{front}, {view}}}], "lidar": null}}')
    logs = open_logs(f"synthetic:seed=2,frames=2,rig={rig}", image_size_px=(16, 30))
    assert logs[0][0].points is None
    samples = collect(logs, 2)
    assert not any(len(s.values) for s in samples.rows[1])
    assert len(values(samples, "objects with points a frame")) == 0
    assert len(values(samples, "points a sweep")) == 0
    assert np.isnan(share(samples, "returns up to 30 m", "background"))
    assert values(samples, "images a frame").tolist() == [1, 1]
    assert values(samples, "height of a camera") == pytest.approx([1.5, 1.5], abs=0.1)
    assert values(samples, "horizontal view of a camera") == pytest.approx([90, 90], abs=0.1)
    assert len(values(samples, "sharpness of an image")) == 2


class LogWithImages(MadeUpLog):
    """Counts the images that are in memory whenever a frame is read."""

    def __init__(self, frames):
        super().__init__(frames)
        self.images: list[weakref.ref[np.ndarray]] = []
        self.most = 0

    def __getitem__(self, index):
        image = np.zeros((4, 6, 3), np.uint8)
        self.images.append(weakref.ref(image))
        self.most = max(self.most, sum(ref() is not None for ref in self.images))
        camera = CameraFrame(
            "front", "front_wide", image, (4, 6), np.eye(3), np.zeros(5), np.eye(4), 0
        )
        return replace(super().__getitem__(index), cameras=(camera,))

    def ground_truth(self, index):
        return MadeUpLog.__getitem__(self, index)


def test_images_do_not_pile_up():
    log = LogWithImages(8)
    assert values(collect([log], 8), "images a frame").tolist() == [1] * 8
    assert log.most <= 2


def test_one_frame_does_not_show_how_long_tracks_live():
    samples = collect([MadeUpLog(1)], 1)
    assert len(values(samples, "life of a track, MOD")) == 0
    assert len(values(samples, "length, car")) == 1
    long = collect([MadeUpLog(1), MadeUpLog()], 1)
    assert values(long, "life of a track, MOD") == pytest.approx([3.0])


def test_shares_of_returns_add_up_and_those_of_retroreflectors_are_small():
    samples = collect(open_logs("synthetic:seed=2,frames=2,beams=16", image_size_px=(16, 30)), 2)
    sources = next(s for s in samples.shares if s.name == "returns up to 30 m")
    assert sources.share.sum() == pytest.approx(1)
    assert sources.share[sources.kinds.index("background")] > 0.05
    bright = share(samples, "returns brighter than 0.5, up to 30 m", "background")
    intensity = values(samples, "intensity, background up to 30 m")
    assert bright == pytest.approx(sum(v > 0.5 for v in intensity) / len(intensity))
    assert share(samples, "returns brighter than 0.5, up to 30 m", "ground") < 0.02
    relative = values(samples, "relative intensity, background")
    assert len(relative) == len(intensity)


@pytest.mark.skipif(not REAL.is_dir(), reason="real data is absent: ../shared/data/argoverse2")
def test_the_real_log_has_the_metrics_of_a_street():
    samples = collect(open_logs(f"argoverse2:{REAL}", image_size_px=(16, 30)), 1)
    assert len(values(samples, "objects a frame")) == 156
    assert 4.0 < np.median(values(samples, "length, car")) < 5.0
    assert 5.0 < np.median(values(samples, "speed, MOD that moves")) < 12.0
    assert values(samples, "life of a track, MOD").max() == pytest.approx(15.5, abs=0.1)
    assert np.isnan(share(samples, "occlusion", "no"))
    near, far = (values(samples, f"points in a MOD, {band} m") for band in ("6-12", "24-60"))
    assert np.median(near) > 5 * np.median(far)
    ground, car = (
        np.median(values(samples, f"intensity, {what} up to 30 m")) for what in ("ground", "car")
    )
    assert 0 <= car < ground < 0.05
    assert len(values(samples, "tilt of the ground")) == 1
