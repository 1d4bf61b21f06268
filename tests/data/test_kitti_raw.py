"""Raw recordings of KITTI, read from a drive made by their own formulas; its twin is the same drive
in the layout of the tracking benchmark."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from leapai.data.data_names import named_source
from leapai.data.frame_check import check_frame
from leapai.data.kitti_reader import open_logs
from leapai.data.log import OpenOptions
from tests.data.test_kitti import (
    BASE_M,
    CAMERA_M,
    FORWARD,
    IMU_M,
    LIDAR_M,
    SIZE_PX,
    SPEED_MPS,
    K,
    Sequence,
    row,
    with_translation,
)

SENSORS = ("image_02", "image_03", "velodyne_points")
BEGIN = "2011-09-26 13:02:25"
BEGIN_US = 1_317_042_145_000_000
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes" ?>\n<!DOCTYPE boost_serialization>\n'


class Drive:
    """The drive of `Sequence`, as a raw recording."""

    def __init__(self, root, frames=4):
        self.date = root / "2011_09_26"
        self.folder = self.date / "2011_09_26_drive_0009_sync"
        self.frames, self.source = frames, Sequence(root / "tracking", frames)
        for name in ("oxts", *SENSORS):
            (self.folder / name / "data").mkdir(parents=True)
        calib_time = "calib_time: 09-Jan-2012 13:57:47"
        self.calibration("cam_to_cam", [
            calib_time, row("K_02", np.eye(3)), row("R_rect_00", np.eye(3)),
            *(row(f"S_rect_0{n}", SIZE_PX[::-1]) for n in BASE_M),
            *(row(f"P_rect_0{n}", K @ with_translation(np.eye(3), [b, 0, 0]))
              for n, b in BASE_M.items()),
        ])  # fmt: skip
        self.calibration("velo_to_cam", [
            calib_time, row("R", FORWARD), row("T", FORWARD @ (LIDAR_M - CAMERA_M)),
            row("delta_f", [0, 0]),
        ])  # fmt: skip
        self.calibration("imu_to_velo", [
            calib_time, row("R", np.eye(3)), row("T", [0, 0, IMU_M] - LIDAR_M),
        ])  # fmt: skip
        self.times([f"{BEGIN}.{59 + 100 * i:03}360375" for i in range(frames)])
        for i in range(frames):
            (self.folder / f"oxts/data/{i:010}.txt").write_text(self.source.oxts(i) + "\n")
            self.move(i, "velodyne/0000", ".bin", "velodyne_points")
            for n in BASE_M:
                self.move(i, f"image_0{n}/0000", ".png", f"image_0{n}")
        self.tracklets([
            self.tracklet("Car", (1.5, 1.6, 4.0), [
                self.pose(20 + (7 - SPEED_MPS) * i / 10, 3, 0.0, 0) for i in range(frames)
            ]),
            self.tracklet("Tram", (3, 2, 9), [self.pose(30, 9, 0.0, 2)]),
            self.tracklet("Cyclist", (1.7, 0.6, 1.8), [
                self.pose(12 - SPEED_MPS * i / 10, -2, 0.5, 1) for i in range(1, frames)
            ], first=1),
        ])  # fmt: skip

    def move(self, i, source, suffix, target):
        file = self.source.split / source / f"{i:06}{suffix}"
        (self.folder / target / f"data/{i:010}{suffix}").write_bytes(file.read_bytes())

    def calibration(self, name, lines):
        (self.date / f"calib_{name}.txt").write_text("\n".join(lines) + "\n")

    def times(self, lines):
        (self.folder / "oxts/timestamps.txt").write_text("\n".join(lines) + "\n")

    def tracklets(self, items, head=HEAD):
        (self.folder / "tracklet_labels.xml").write_text(
            f'{head}<boost_serialization signature="serialization::archive" version="9">\n'
            f'<tracklets class_id="0"><count>{len(items)}</count><item_version>1</item_version>\n'
            + "\n".join(items)
            + "</tracklets>\n</boost_serialization>\n"
        )

    def tracklet(self, word, hwl, poses, first=0):
        h, w, length = hwl
        items = "\n".join(poses)
        return (
            f"<item><objectType>{word}</objectType><h>{h}</h><w>{w}</w><l>{length}</l>"
            f"<first_frame>{first}</first_frame>\n<poses><count>{len(poses)}</count>"
            f"<item_version>2</item_version>{items}</poses><finished>1</finished></item>"
        )

    def pose(self, x, y, yaw, occlusion):
        """Of a place on the ground in the vehicle's axes."""
        return self.pose_in_lidar(np.array([x, y, 0.0]) - LIDAR_M, yaw, occlusion)

    def pose_in_lidar(self, place_m, yaw, occlusion):
        tx, ty, tz = place_m
        return (
            f"<item><tx>{tx}</tx><ty>{ty}</ty><tz>{tz}</tz><rx>0</rx><ry>0</ry><rz>{yaw}</rz>"
            f"<state>2</state><occlusion>{occlusion}</occlusion><occlusion_kf>-1</occlusion_kf>"
            "<truncation>0</truncation><amt_occlusion>0</amt_occlusion></item>"
        )


@pytest.fixture
def drive(tmp_path):
    return Drive(tmp_path)


def opened(folder):
    return open_logs(str(folder), OpenOptions(SIZE_PX))


def test_a_raw_drive_gives_what_the_benchmark_gives_of_it(drive, tmp_path):
    (raw,), (twin,) = opened(tmp_path), opened(tmp_path / "tracking")
    assert raw.name == "2011_09_26_drive_0009_sync"
    steps_us = [59_360, 159_360, 259_360, 359_360]
    assert raw.timestamps_us.tolist() == [BEGIN_US + step_us for step_us in steps_us]
    for index in range(4):
        ours, theirs = check_frame(raw[index]), twin[index]
        assert ours.faults == ()
        np.testing.assert_allclose(ours.ego2global, theirs.ego2global, atol=1e-6)
        np.testing.assert_array_equal(ours.points, theirs.points)
        for one, other in zip(ours.cameras, theirs.cameras, strict=True):
            assert (one.name, one.group) == (other.name, other.group)
            np.testing.assert_array_equal(one.image, other.image)
            np.testing.assert_allclose(one.intrinsics, other.intrinsics)
            np.testing.assert_allclose(one.ego_from_camera, other.ego_from_camera, atol=1e-9)


def test_tracklets_are_the_boxes_of_their_frames(drive, tmp_path):
    (raw,), (twin,) = opened(drive.folder), opened(tmp_path / "tracking")
    for index in range(4):
        ours, theirs = raw.ground_truth(index).labels, twin.ground_truth(index).labels
        count = 2 if index else 1  # the tracklet of the cyclist begins with the second frame
        theirs = theirs.select(np.arange(count))
        np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=1e-6)
        np.testing.assert_allclose(ours.velocity_mps, theirs.velocity_mps, atol=1e-5)
        assert ours.velocity_valid.all()
        assert ours.class_id.tolist() == theirs.class_id.tolist()
        assert ours.occlusion_level.tolist() == theirs.occlusion_level.tolist()
        assert ours.track_id.tolist() == [0, 2][:count]


def test_every_folder_of_a_drive_is_recognised(drive, tmp_path):
    for folder in (tmp_path, drive.date, drive.folder):
        assert named_source(str(folder)) == f"kitti:{folder}"
        assert len(opened(folder)) == 1


def test_a_missing_sweep_or_image_is_a_failed_sensor(drive):
    """Drive 0009 lacks four sweeps, whose rows among the times of the LiDAR are empty."""
    (drive.folder / "velodyne_points/data/0000000002.bin").unlink()
    (drive.folder / "velodyne_points/timestamps.txt").write_text(f"{BEGIN}.5\n{BEGIN}.6\n\n")
    (drive.folder / "image_03/data/0000000002.png").unlink()
    (log,) = opened(drive.folder)
    frame = log[2]
    assert len(log) == 4
    assert frame.points is None
    assert [camera.image is None for camera in frame.cameras] == [False, True]
    assert [fault.split(": ")[0] for fault in frame.faults] == ["image_03", "lidar"]
    assert log[3].faults == ()


def test_a_drive_without_tracklets_has_no_labels_and_may_lack_a_camera(drive):
    (drive.folder / "tracklet_labels.xml").unlink()
    (drive.folder / "image_03").rename(drive.folder / "away")
    (log,) = opened(drive.folder)
    assert log[0].labels is None
    assert [camera.name for camera in log[0].cameras] == ["image_02"]


def test_a_drive_that_is_not_synchronised_is_refused(drive):
    extract = drive.folder.rename(drive.date / "2011_09_26_drive_0009_extract")
    for folder in (extract, extract.parent, extract.parent.parent):
        assert named_source(str(folder)) == f"kitti:{folder}"
        with pytest.raises(ValueError, match="0009_extract: is neither synchronised nor rectified"):
            opened(folder)


def test_a_drive_that_is_not_synchronised_may_lie_beside_one_that_is(drive, tmp_path):
    extract = drive.date / "2011_09_26_drive_0005_extract"
    (extract / "oxts").mkdir(parents=True)
    (extract / "oxts/timestamps.txt").write_text(f"{BEGIN}.5\n")
    for folder in (drive.date, tmp_path):
        assert [log.name for log in opened(folder)] == [drive.folder.name]


@pytest.mark.parametrize(("inside", "location"), [
    ("", "."), ("oxts", ".."), ("oxts/data", "../.."), ("", ".."), ("image_02", "../.."),
])  # fmt: skip
def test_a_drive_may_be_named_from_inside_of_it(drive, monkeypatch, inside, location):
    monkeypatch.chdir(drive.folder / inside)
    (log,) = opened(location)
    assert log.name == drive.folder.name
    assert log[0].faults == ()


def test_a_drive_that_is_a_link_has_the_calibration_beside_the_link(drive, tmp_path):
    date = tmp_path / "links" / "2011_09_26"
    date.mkdir(parents=True)
    (date / drive.folder.name).symlink_to(drive.folder.rename(tmp_path / "moved"))
    for path in drive.date.glob("calib_*.txt"):
        path.rename(date / path.name)
    (log,) = opened(date / drive.folder.name)
    assert log.name == drive.folder.name


@pytest.mark.parametrize(("name", "before", "after", "said"), [
    ("oxts/timestamps.txt", "13:02:25.159", "1:2:25.159", r"row 2 = '2011-09-26 1:2.* is no time"),
    ("oxts/timestamps.txt", "2011-09-26 13:02:25.1", "2011-13-26 13:02:25.1", "row 2 = .* no time"),
    ("oxts/timestamps.txt", "25.259", "25.159", "row 3 is not after the one before"),
    ("oxts/timestamps.txt", None, "\n", r"timestamps.txt: has no time"),
    ("oxts/data/0000000001.txt", None, "49 8 110 0", "0000000001.txt: row 1 = '49 8 110 0' lacks"),
    ("oxts/data/0000000001.txt", None, "", "0000000001.txt: row 1 = '' lacks 6 finite numbers"),
    ("oxts/data/0000000001.txt", "49.0 ", "1e5 ", "row 1: latitude = 100000 is not from -85"),
    ("../calib_cam_to_cam.txt", "P_rect_02", "P", r"cam_to_cam\.txt: P_rect_02 = '' lacks 12"),
    ("../calib_cam_to_cam.txt", "_03: 1.20", "_03: 1.234", "S_rect_03: number 1 = 123.4 is"),
    ("../calib_cam_to_cam.txt", "_03: 1.20", "_03: 200.0100", "S_rect_03: number 1 = 20001 is no"),
    ("../calib_cam_to_cam.txt", "_03: 1.20", "_03: 200.00", "P_rect_03 = .* image of 20000 x 40"),
    ("../calib_velo_to_cam.txt", "R: 0.0", "R: 3.0", r"velo_to_cam\.txt: R has columns that are"),
    ("../calib_imu_to_velo.txt", "T:", "t:", r"imu_to_velo\.txt: T = '' lacks 3 finite numbers"),
    ("tracklet_labels.xml", "<l>4.0</l>", "", r"tracklet 0 = .*\(no l\).* lacks 4 finite"),
    ("tracklet_labels.xml", "<rz>0.5</rz>", "<rz>left</rz>", "pose 0 of tracklet 2 = .* lacks 5"),
    ("tracklet_labels.xml", "Cyclist", "Rider", "'Rider' is no class of KITTI"),
    ("tracklet_labels.xml", "<first_frame>1<", "<first_frame>2<", "tracklet 2 has 3 poses from"),
    ("tracklet_labels.xml", "<occlusion>1<", "<occlusion>4<", "tracklet 2: occlusion = 4 is no"),
    ("tracklet_labels.xml", "<h>1.5</h>", "<h>0</h>", r"tracklet 0: h = 0 is not from 0\.01 to"),
    ("tracklet_labels.xml", "<w>0.6</w>", "<w>-1</w>", "tracklet 2: w = -1 is not from 0.01"),
    ("tracklet_labels.xml", "<l>4.0</l>", "<l>4_0</l>", "tracklet 0 = .* lacks 4 finite numbers"),
    ("tracklet_labels.xml", "<tx>19.2", "<tx>1e11", "pose 0 of tracklet 0: tx = 1e.11 is not"),
    ("tracklet_labels.xml", "<rz>0.5<", "<rz>1e11<", "pose 0 of tracklet 2: rz = 1e.11 is not"),
    ("tracklet_labels.xml", None, "<html/>", r"labels\.xml: tracklets: 0 items, count = 'no list'"),
    ("tracklet_labels.xml", "<count>3<", "<count>4<", "xml: tracklets: 3 items, count = '4'; get"),
    ("tracklet_labels.xml", "<poses><count>3", "<poses><count>x", "poses of tracklet 2: 3 items,"),
    ("tracklet_labels.xml", "</tracklets>", "", r"labels\.xml: is no valid XML: mismatched tag"),
    ("tracklet_labels.xml", None, "", r"labels\.xml: is no valid XML: no element found"),
])  # fmt: skip
def test_tables_that_are_damaged_are_errors_with_the_file(drive, name, before, after, said):
    path = drive.folder / name
    text = path.read_text()
    assert before is None or before in text
    path.write_text(after if before is None else text.replace(before, after, 1))
    with pytest.raises(ValueError, match=said) as error:
        opened(drive.folder)
    assert str(error.value).endswith("get the file again")


@pytest.mark.parametrize("name", ["oxts/data/0000000002.txt", "../calib_imu_to_velo.txt"])
def test_a_table_that_is_missing_is_named(drive, name):
    path = drive.folder / name
    path.unlink()
    with pytest.raises(ValueError, match=rf"{path.name}: cannot be read \(No such file"):
        opened(drive.folder)


@pytest.mark.parametrize("entity", [
    '<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">',
    '<!ENTITY b SYSTEM "file:///etc/passwd">',
    '<!ENTITY % b SYSTEM "file:///etc/passwd"> %b;',
])  # fmt: skip
def test_entities_are_refused(drive, entity):
    head = f'<?xml version="1.0"?>\n<!DOCTYPE boost_serialization [{entity}]>\n'
    drive.tracklets([drive.tracklet("&b;", (1, 1, 1), [drive.pose(9, 0, 0, 0)])], head)
    with pytest.raises(ValueError, match=r"labels\.xml: declares the entity '[ab]'"):
        opened(drive.folder)


def test_lists_may_lack_their_count(drive):
    path = drive.folder / "tracklet_labels.xml"
    path.write_text(re.sub(r"<count>\d+</count>", "", path.read_text()))
    assert len(opened(drive.folder)[0].ground_truth(1).labels) == 2


def test_a_tracklet_without_poses_is_damaged(drive):
    item = drive.tracklet("Car", (1, 1, 1), []).replace("poses>", "pose>")
    drive.tracklets([item])
    with pytest.raises(ValueError, match=r"poses of tracklet 0: 0 items, count = 'no list'; get"):
        opened(drive.folder)


def test_images_have_the_size_of_the_calibration(drive):
    """KITTI's images differ in size from day to day; a damaged first one must not decide."""
    (drive.folder / "image_02/data/0000000000.png").write_bytes(b"no image")
    Image.new("RGB", (7, 5)).save(drive.folder / "image_02/data/0000000001.png")
    (log,) = opened(drive.folder)
    assert log[2].cameras[0].image.shape == (*SIZE_PX, 3)
    for index, words in ((0, "cannot be decoded"), (1, "is 7 x 5 pixels, calibrated for 120 x 40")):
        assert [words in fault for fault in log[index].faults] == [True]
