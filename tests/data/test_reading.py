"""Images are asked for their format before they are decoded."""

from __future__ import annotations

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from leapai.data import columns, reading
from leapai.data.reading import SensorError, read_bytes, read_image, read_json
from leapai.data.reduced_images import reduced_size, reduction

SIZE_PX = (48, 64)
QUALITY = {"jpg": {"quality": 95}, "png": {}}
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 255, (*SIZE_PX, 3), np.uint8)


def claiming(path, width, height):
    """A JPEG whose header claims a size."""
    Image.fromarray(PIXELS).save(path, "JPEG")
    content = bytearray(path.read_bytes())
    at = content.index(b"\xff\xc0")
    content[at + 5 : at + 9] = struct.pack(">HH", height, width)
    path.write_bytes(bytes(content))
    return path


@pytest.mark.parametrize("side", [65_500, 13_000, 65])
def test_a_size_that_is_claimed_is_refused_before_it_is_decoded(tmp_path, side, monkeypatch):
    path = claiming(tmp_path / "x.jpg", side, side)
    for name in ("_rgb", "_whole_jpeg"):
        monkeypatch.setattr(reading, name, lambda *_: pytest.fail("was decoded"))
    words = "more pixels than any camera" if side == 65_500 else f"is {side} x {side} pixels"
    with pytest.raises(SensorError, match=words):
        read_image(path, SIZE_PX)


def test_a_claimed_size_that_the_calibration_claims_too_is_no_traceback(tmp_path):
    path = claiming(tmp_path / "x.jpg", 65_500, 65_500)
    with pytest.raises(SensorError, match="more pixels than any camera"):
        read_image(path, (65_500, 65_500))


def test_sixteen_bits_are_scaled_to_eight(tmp_path):
    path = tmp_path / "x.png"
    values = np.linspace(0, 65_535, 48 * 64).round().astype(np.uint16).reshape(SIZE_PX)
    Image.fromarray(values).save(path)
    image = read_image(path, SIZE_PX)
    assert image.dtype == np.uint8
    np.testing.assert_allclose(image[..., 1], values / 257, atol=0.51)


def test_sixteen_bits_of_each_colour_are_scaled_to_eight(tmp_path):
    """Pillow writes no such file, so this one is made by hand."""
    values = RNG.integers(0, 65_535, (*SIZE_PX, 3)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    header = struct.pack(">IIBBBBB", SIZE_PX[1], SIZE_PX[0], 16, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n"
    for name, data in chunks:
        content += struct.pack(">I", len(data)) + name + data
        content += struct.pack(">I", zlib.crc32(name + data))
    (tmp_path / "x.png").write_bytes(content)
    image = read_image(tmp_path / "x.png", SIZE_PX)
    assert np.abs(image.astype(float) - values / 257).max() <= 1


@pytest.mark.parametrize("orientation", [3, 6])
def test_an_image_that_is_marked_as_rotated_is_refused(tmp_path, orientation):
    image = Image.fromarray(PIXELS)
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(tmp_path / "x.jpg", exif=exif)
    with pytest.raises(SensorError, match=rf"marked as rotated \(EXIF orientation {orientation}\)"):
        read_image(tmp_path / "x.jpg", SIZE_PX)


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("L", "png"), ("LA", "png"), ("P", "png"), ("RGBA", "png"), ("CMYK", "jpg")],
)
def test_every_mode_becomes_the_colours_that_it_shows(tmp_path, mode, suffix):
    flat = np.full((*SIZE_PX, 3), (180, 90, 40), np.uint8)
    image = Image.fromarray(flat).convert(mode)
    image.save(tmp_path / f"x.{suffix}")
    found = read_image(tmp_path / f"x.{suffix}", SIZE_PX)
    assert found.shape == (*SIZE_PX, 3)
    expected = np.array(image.convert("RGB")).astype(int)  # a palette dithers
    assert np.abs(found.astype(int) - expected).max() <= 8


def test_floats_are_refused_because_their_white_is_not_known(tmp_path):
    Image.fromarray(np.zeros(SIZE_PX, np.float32)).save(tmp_path / "x.tiff")
    with pytest.raises(SensorError, match="holds floats"):
        read_image(tmp_path / "x.tiff", SIZE_PX)


@pytest.mark.parametrize(("mode", "quality"), [("RGB", 30), ("RGB", 95), ("L", 90)])
def test_a_jpeg_has_the_pixels_that_pillow_decodes(tmp_path, mode, quality):
    path = tmp_path / "x.jpg"
    smooth = np.cumsum(PIXELS, 1, np.uint8) // 2 + 30
    Image.fromarray(smooth).convert(mode).save(path, quality=quality)
    expected = np.array(Image.open(path).convert("RGB"))
    assert reading._whole_jpeg(path.read_bytes(), SIZE_PX) is not None
    np.testing.assert_array_equal(read_image(path, SIZE_PX), expected)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("size_px", [(96, 160), (90, 161)])
def test_a_reduced_image_is_close_to_the_mean_of_its_pixels(tmp_path, suffix, factor, size_px):
    rows, columns = np.mgrid[: size_px[0], : size_px[1]]
    waves = [127 + 100 * np.sin(rows / 9.0) * np.cos(columns / 13.0 + phase) for phase in range(3)]
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(np.stack(waves, -1).astype(np.uint8)).save(path, **QUALITY[suffix])
    image = read_image(path, size_px, factor)
    assert image.shape == (*reduced_size(size_px, factor), 3)
    expected = np.array(Image.fromarray(read_image(path, size_px)).reduce(factor)).astype(int)
    whole = np.s_[: size_px[0] // factor, : size_px[1] // factor]  # the last row may be part of one
    assert np.abs(image - expected)[whole].mean() < 1.5


def test_a_damage_that_pillow_accepts_is_decoded_by_it(tmp_path):
    path = tmp_path / "x.jpg"
    Image.fromarray(PIXELS).save(path)
    content = path.read_bytes()
    at = content.index(b"\xff\xda")
    path.write_bytes(content[:at] + b"\0\0\0" + content[at:])  # bytes between two segments
    assert reading._whole_jpeg(path.read_bytes(), SIZE_PX) is None
    assert read_image(path, SIZE_PX).shape == (*SIZE_PX, 3)


@pytest.mark.parametrize(
    ("size_px", "least_px", "factor"),
    [
        ((900, 1600), None, 1),
        ((900, 1600), (512, 960), 1),
        ((900, 1600), (450, 800), 2),
        ((900, 1600), (128, 240), 4),
        ((900, 1600), (226, 240), 2),
        ((9000, 16000), (128, 240), 8),
        ((48, 64), (512, 960), 1),
    ],
)
def test_an_image_is_reduced_as_far_as_it_covers_what_is_asked_for(size_px, least_px, factor):
    assert reduction(size_px, least_px) == factor


@pytest.mark.parametrize("seed", range(40))
def test_damaged_images_are_failed_sensors(tmp_path, seed):
    from tests.robustness.mutations import flip

    path = tmp_path / "x.png"
    Image.fromarray(PIXELS).save(path, "PNG" if seed % 2 else "JPEG")
    path.write_bytes(flip(path.read_bytes(), seed, 1 + seed % 5))
    try:
        shape = read_image(path, SIZE_PX).shape
    except SensorError:
        shape = (*SIZE_PX, 3)
    assert shape == (*SIZE_PX, 3)


@pytest.mark.parametrize(
    ("latest", "step", "unit", "likely"),
    [
        (1.5e15, 5e5, "microseconds", "microseconds"),
        (1.5e18, 5e8, "microseconds", "nanoseconds"),
        (1.5e12, 5e2, "microseconds", "milliseconds"),
        (1.5e9, 1.0, "microseconds", "seconds"),
        (1.5e18, None, "microseconds", "nanoseconds"),
        (1.5e15, 1.2e8, "microseconds", "microseconds"),  # a frame each two minutes
        (4e6, 1e5, "microseconds", "microseconds"),  # since the start of the drive
        (4e9, 1e8, "microseconds", "nanoseconds"),
        (3.2e17, 1e8, "nanoseconds", "nanoseconds"),
        (3.2e14, 1e5, "nanoseconds", "microseconds"),
        (0.0, None, "microseconds", "microseconds"),
    ],
)
def test_units_of_time_are_told_by_range_and_rate(latest, step, unit, likely):
    assert columns.likely_unit(latest, step, unit) == likely


def a_pipe(path):
    os.mkfifo(path)


def a_device(path):
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("made", [a_pipe, a_device])
def test_what_does_not_end_is_not_read(tmp_path, made):
    path = tmp_path / "x.jpg"
    made(path)
    with pytest.raises(SensorError, match=r"cannot be read \(is a pipe or a device, no file"):
        read_bytes(path)
    with pytest.raises(ValueError, match=r"x\.jpg cannot be read .is a pipe or a device.*; again"):
        read_json(path, "again")


def test_a_sensor_file_larger_than_any_is_not_read(tmp_path):
    path = tmp_path / "x.bin"
    with path.open("wb") as file:
        file.truncate(reading.MAX_SENSOR_BYTES + 1)  # takes no room on the disk
    with pytest.raises(
        SensorError, match="has 1,073,741,825 bytes, at most 1,073,741,824 are read"
    ):
        read_bytes(path)


def upright_quaternions(yaw_rad, tilt_rad):
    """w x y z of a yaw after a small roll."""
    half, roll = np.asarray(yaw_rad) / 2, np.asarray(tilt_rad) / 2
    parts = (np.cos(half) * np.cos(roll), np.cos(half) * np.sin(roll))
    return np.stack([*parts, np.sin(half) * np.sin(roll), np.sin(half) * np.cos(roll)], -1)


def test_the_order_of_quaternions_is_told_by_what_stands_upright():
    yaw, tilt = RNG.uniform(-np.pi, np.pi, 200), RNG.normal(0, 0.1, 200)
    wxyz = upright_quaternions(yaw, tilt)
    assert columns.likely_order(wxyz) == "w x y z"
    assert columns.likely_order(wxyz[:, [1, 2, 3, 0]]) == "x y z w"
    assert columns.likely_order(wxyz[:, [3, 0, 1, 2]]) == "z w x y"
    wxyz[:30] = upright_quaternions(yaw[:30], np.full(30, 1.5))  # fallen bicycles
    assert columns.likely_order(wxyz) == "w x y z"
    assert columns.likely_order(np.zeros((0, 4))) == "w x y z"
