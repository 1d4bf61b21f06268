"""The embedded world as ROS 2 bags, read back through our own reader."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("rosbags")

import leapai
from leapai.data.bags.bag_reader import open_logs as open_bags
from leapai.data.log import OpenOptions, open_logs
from leapai_world.export_rosbag import export_rosbags

SIZE_PX = (128, 352)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "bags"
    drives = open_logs("synthetic:seed=3,frames=3,place=street", image_size_px=SIZE_PX)
    assert export_rosbags(drives, folder) == 3
    frames = [drives[0][i] for i in range(3)]
    return frames, open_bags(str(folder), OpenOptions(SIZE_PX))[0], folder, drives


def test_points_come_back_to_the_last_bit_and_poses_within_a_millimetre_and_a_half(exported):
    frames, read, _, _ = exported
    assert len(read) == len(frames)
    for i, before in enumerate(frames):
        after = read[i]
        assert after.faults == ()
        assert after.timestamp_us == before.timestamp_us
        assert np.array_equal(after.points, before.points)
        np.testing.assert_allclose(after.ego2global, before.ego2global, atol=1e-9)
        for camera, other in zip(after.cameras, before.cameras, strict=True):
            assert (camera.name, camera.group) == (other.name, other.group)
            assert camera.timestamp_us == other.timestamp_us
            np.testing.assert_allclose(camera.intrinsics, other.intrinsics)
            np.testing.assert_allclose(camera.distortion, other.distortion)
            difference_m = camera.ego_from_camera[:3, 3] - other.ego_from_camera[:3, 3]
            assert np.abs(difference_m).max() < 1.5e-3
            assert np.abs(camera.image.astype(float) - other.image).mean() < 5  # JPEG


def test_the_network_finds_the_same_objects(exported):
    """Images are JPEG in a bag, so that what is unsure may change its class; what is sure is found
    again."""
    frames, read, _, _ = exported
    found = []
    for drive in (frames, [read[i] for i in range(len(read))]):
        stream = leapai.load()
        for frame in drive:
            detections = stream.step(frame)
        found.append(detections)
    for one, other in (found, found[::-1]):
        sure, all_of_other = one.select(one.score > 0.5), other.select(other.score > 0.3)
        assert len(sure) >= 10
        distance_m = np.linalg.norm(sure.boxes[:, None, :3] - all_of_other.boxes[:, :3], axis=-1)
        is_of_class = sure.class_id[:, None] == all_of_other.class_id
        assert (np.where(is_of_class, distance_m, np.inf).min(1) < 0.3).all()


def test_an_existing_folder_is_refused(exported):
    _, _, folder, drives = exported
    with pytest.raises(ValueError, match="exists; name a new folder"):
        export_rosbags(drives, folder)


def test_odometry_is_in_order_of_time(exported):
    _, read, _, _ = exported
    times = read._index.transforms.parents["base_link"][1].time_us
    assert all(later > earlier for earlier, later in pairwise(times.tolist()))
