import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from leapai.pictures.video import VideoWriter, write_png
from leapai.types import ImageArray


def picture(height: int, width: int, level: int) -> ImageArray:
    image = np.full((height, width, 3), (200, 60, level), np.uint8)
    image[: height // 2, : width // 2] = (20, level, 220)
    return image


def decoded(path: Path) -> list[ImageArray]:
    with av.open(str(path)) as container:
        return [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]


@pytest.mark.parametrize("size_px", [(64, 96), (65, 97)])
def test_frames_come_back(tmp_path: Path, size_px: tuple[int, int]):
    path = tmp_path / "new folder" / "drive.mp4"
    pictures = [picture(*size_px, level) for level in (30, 90, 150)]
    with VideoWriter(path, 10) as video:
        for image in pictures:
            video.append(image)
    frames = decoded(path)
    assert len(frames) == 3
    for image, back in zip(pictures, frames, strict=True):
        assert back.shape == (size_px[0] + size_px[0] % 2, size_px[1] + size_px[1] % 2, 3)
        for pixel in ((10, 10), (50, 80)):
            assert back[pixel].astype(int) == pytest.approx(image[pixel].astype(int), abs=8)


def test_rate_and_format_are_what_players_expect(tmp_path: Path):
    with VideoWriter(tmp_path / "a.mp4", 2.5) as video:
        video.append(picture(64, 96, 0))
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert float(stream.average_rate) == pytest.approx(2.5)


def test_the_file_appears_only_when_complete(tmp_path: Path):
    path = tmp_path / "a.mp4"
    with VideoWriter(path, 10) as video:
        video.append(picture(64, 96, 0))
        assert not path.exists()
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_an_error_leaves_nothing_behind_and_an_older_video_alone(tmp_path: Path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"older")

    def fail_half_way() -> None:
        with VideoWriter(path, 10) as video:
            video.append(picture(64, 96, 0))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail_half_way()
    assert path.read_bytes() == b"older"
    assert len(list(tmp_path.iterdir())) == 1


def test_no_frames_no_file(tmp_path: Path):
    with VideoWriter(tmp_path / "a.mp4", 10):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_frame_of_another_size_is_refused(tmp_path: Path):
    with VideoWriter(tmp_path / "a.mp4", 10) as video:
        video.append(picture(64, 96, 0))
        with pytest.raises(ValueError, match="one size"):
            video.append(picture(64, 98, 0))


def test_png_keeps_every_pixel(tmp_path: Path):
    path = tmp_path / "new folder" / "a.png"
    image = np.random.default_rng(0).integers(0, 256, (31, 45, 3), np.uint8)
    write_png(path, image)
    assert np.array_equal(cv2.imread(str(path))[:, :, ::-1], image)
    assert [p.name for p in path.parent.iterdir()] == ["a.png"]


FULL_DISK = """
import resource, sys
import numpy as np
from pathlib import Path
from leapai.pictures.video import VideoWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
noise = np.random.default_rng(0)
try:
    with VideoWriter(Path(sys.argv[1]), 10) as video:
        for _ in range(int(sys.argv[2])):
            video.append(noise.integers(0, 256, (120, 160, 3), np.uint8))
except OSError as error:
    print(error)
"""


@pytest.mark.parametrize("frames", [2, 90])
def test_a_video_that_does_not_fit_names_its_file_and_leaves_nothing(tmp_path, frames):
    """Two frames are buffered until the end, and 90 are not."""
    path = tmp_path / "drive.mp4"
    command = [sys.executable, "-c", FULL_DISK, str(path), str(frames)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"{path} cannot be written: File too large; make room on that disk" in output
    assert not list(tmp_path.iterdir())
