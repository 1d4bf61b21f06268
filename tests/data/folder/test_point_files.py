"""LiDAR sweeps in files: `.bin`, `.npy` and all three kinds of `.pcd`."""

from __future__ import annotations

import numpy as np
import pytest

from leapai.data.folder.point_files import likely_intensity_max, read_sweep
from leapai.data.log import open_logs
from leapai.data.reading import SensorError
from tests.data.folder.made_up_drive import points

HEADER = """# .PCD v0.7
VERSION 0.7
FIELDS x y z intensity
SIZE 4 4 4 4
TYPE F F F F
COUNT 1 1 1 1
WIDTH {count}
HEIGHT 1
VIEWPOINT 0 0 0 1 0 0 0
POINTS {count}
DATA {kind}
"""


def table(path, columns=None):
    sweep = read_sweep(path, columns)
    return np.stack([sweep[name] for name in ("x", "y", "z", "intensity")], -1)


def test_a_bin_has_four_columns_and_that_of_nuscenes_five(tmp_path):
    points(0).tofile(tmp_path / "a.bin")
    np.testing.assert_array_equal(table(tmp_path / "a.bin"), points(0))
    five = points(1, columns=5)
    five.tofile(tmp_path / "a.pcd.bin")
    np.testing.assert_array_equal(table(tmp_path / "a.pcd.bin"), five[:, :4])
    five.tofile(tmp_path / "b.bin")
    named = table(tmp_path / "b.bin", ("x", "y", "z", "ring", "intensity"))
    np.testing.assert_array_equal(named[:, 3], five[:, 4])


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int16])
def test_an_npy_of_any_numbers(tmp_path, kind):
    cloud = points(0).astype(kind)
    np.save(tmp_path / "a.npy", cloud)
    np.testing.assert_allclose(table(tmp_path / "a.npy"), cloud, rtol=1e-6)
    np.save(tmp_path / "b.npy", cloud[:, :3])
    assert set(read_sweep(tmp_path / "b.npy", None)) == {"x", "y", "z"}


def test_a_pcd_in_ascii_leaves_out_what_it_marks_as_invalid(tmp_path):
    rows = "1 2 3 4\nnan nan nan 0\n5 6 7 8\n"
    (tmp_path / "a.pcd").write_text(HEADER.format(count=3, kind="ascii") + rows)
    np.testing.assert_array_equal(table(tmp_path / "a.pcd"), [[1, 2, 3, 4], [5, 6, 7, 8]])


@pytest.mark.parametrize("kind", ["binary", "binary_compressed"])
def test_a_pcd_in_binary(tmp_path, kind):
    pypcd4 = pytest.importorskip("pypcd4")
    cloud = pypcd4.PointCloud.from_xyzi_points(points(0))
    cloud.save(tmp_path / "a.pcd", encoding=pypcd4.Encoding(kind))
    np.testing.assert_array_equal(table(tmp_path / "a.pcd"), points(0))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.bin", b"12345", "5 bytes, which are no whole points of 4 float32"),
        ("a.bin", b"", "holds no bytes"),
        ("a.npy", b"\x93NUMPY\x01\x00", "is not a whole .npy file"),
        ("a.npy", b"(lp0", "is not a whole .npy file"),
        ("a.pcd", b"FIELDS x y", "cannot be decoded as a PCD"),
        ("a.pcd", HEADER.format(count=9, kind="binary").encode() + b"1234", "cannot be decoded"),
        (
            "a.pcd",
            HEADER.format(count=1, kind="ascii").replace("x y z", "u v w").encode() + b"1 2 3 4\n",
            "has no x, y and z among its fields: u, v, w",
        ),
    ],
)
def test_a_damaged_file_is_a_fault_of_the_sensor(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SensorError, match=message):
        read_sweep(tmp_path / name, None)


def test_arrays_of_another_form_are_faults(tmp_path):
    for array in (np.zeros(4), np.zeros((3, 2)), np.array([["a"] * 4])):
        np.save(tmp_path / "a.npy", array)
        with pytest.raises(SensorError):
            read_sweep(tmp_path / "a.npy", None)
    np.save(tmp_path / "a.npy", np.array([{}, {}]), allow_pickle=True)
    with pytest.raises(SensorError, match="is not a whole"):
        read_sweep(tmp_path / "a.npy", None)


@pytest.mark.parametrize(
    ("highest", "scale"), [(0.0, 1), (0.9, 1), (1.0, 1), (96.0, 255), (4000.0, 65535)]
)
def test_the_scale_of_intensities_is_guessed_from_their_highest(highest, scale):
    assert likely_intensity_max(np.array([0, highest, np.nan])) == scale
    assert likely_intensity_max(np.zeros(0)) == 1


def test_numbers_that_are_none_or_too_large_raise_no_warning(tmp_path):
    (tmp_path / "0.bin").write_bytes(b"\xff\xff\xbf\x7f" + bytes(12))  # a signalling NaN
    np.save(tmp_path / "1.npy", np.full((1, 4), 1e300))
    for index in range(2):
        log = open_logs(str(tmp_path), image_size_px=(48, 64))[0]
        assert not np.isfinite(log[index].points[0, 0])
