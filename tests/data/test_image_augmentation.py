"""Images that are enlarged, moved and mirrored still show what is projected into them."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from leapai.config.training import ImageAugmentationConfig
from leapai.data.image_augmentation import changed_images, draw_image_augmentation
from leapai.geometry import boxes, cameras, poses
from leapai.types import CameraFrame, Frame
from tests.scenes import make_frame

CHANGES = {
    "enlarged": {"scaling": 0.3},
    "moved": {"shift": 0.1},
    "mirrored": {"flip_probability": 1.0},
    "all": {"scaling": 0.2, "shift": 0.1, "flip_probability": 0.5},
}
CORNERS = boxes.corners(
    np.array([[14.0, 0.5, 0.8, 4.5, 1.9, 1.6, 0.4], [9.0, -2.5, 0.9, 0.6, 0.7, 1.8, 1.0]])
).reshape(-1, 3)


def changed(frame: Frame, seed: int, **options: float) -> Frame:
    rng = np.random.default_rng(seed)
    drawn = draw_image_augmentation(ImageAugmentationConfig(**options), rng, len(frame.cameras))
    return changed_images(frame, drawn)


def pixels_of(camera: CameraFrame) -> np.ndarray:
    """Pixels [16, 2] of the corners of the boxes."""
    local = poses.apply(poses.invert(camera.ego_from_camera), CORNERS)
    return cameras.project(local, camera.intrinsics, camera.distortion)[0]


def painted() -> Frame:
    """Images whose colour names the place: red is 2 x column, green 3 x row."""
    frame = make_frame(0)
    height, width = frame.cameras[0].size_px
    row, column = np.mgrid[:height, :width]
    image = np.stack([2 * column, 3 * row, np.full_like(row, 99)], -1).astype(np.uint8)
    return replace(frame, cameras=tuple(replace(c, image=image) for c in frame.cameras))


@pytest.mark.parametrize("options", CHANGES.values(), ids=CHANGES)
def test_a_projected_corner_lands_on_the_pixel_that_shows_it(options):
    frame, compared = painted(), 0
    for seed in range(8):
        after = changed(frame, seed, **options)
        for camera, moved in zip(frame.cameras, after.cameras, strict=True):
            assert moved.image.shape == camera.image.shape
            last = np.array(camera.size_px[::-1]) - 2
            for old, new in zip(pixels_of(camera), pixels_of(moved), strict=True):
                if all((at > 1).all() and (at < last).all() for at in (old, new)):
                    shown = cv2.getRectSubPix(moved.image, (1, 1), tuple(new.tolist()))[0, 0]
                    np.testing.assert_allclose(shown, [2 * old[0], 3 * old[1], 99], atol=2.5)
                    compared += 1
    assert compared > 30


def test_a_mirrored_image_is_its_mirror_to_the_bit():
    frame = make_frame(0)
    for camera, moved in zip(
        frame.cameras, changed(frame, 0, flip_probability=1.0).cameras, strict=True
    ):
        np.testing.assert_array_equal(moved.image, camera.image[:, ::-1])
        width = camera.size_px[1]
        np.testing.assert_allclose(
            pixels_of(moved), [width - 1, 0] + [-1, 1] * pixels_of(camera), atol=1e-9
        )


def test_the_defaults_change_nothing_and_failed_cameras_stay_failed():
    frame = make_frame(0)
    same = changed(frame, 0)
    assert all(a is b for a, b in zip(same.cameras, frame.cameras, strict=True))
    blind = replace(frame, cameras=tuple(replace(c, image=None) for c in frame.cameras))
    after = changed(blind, 0, **CHANGES["all"])
    expected = changed(frame, 0, **CHANGES["all"])
    for one, other in zip(after.cameras, expected.cameras, strict=True):
        assert one.image is None
        np.testing.assert_array_equal(one.intrinsics, other.intrinsics)


def test_every_camera_has_a_draw_of_its_own_within_what_is_asked():
    config = ImageAugmentationConfig(scaling=0.2, shift=0.1, flip_probability=0.25)
    drawn = draw_image_augmentation(config, np.random.default_rng(0), 2000)
    assert 0.8 <= drawn.scale.min() < 0.82
    assert 1.18 < drawn.scale.max() <= 1.2
    assert 0.098 < np.abs(drawn.shift).max() <= 0.1
    assert np.mean(drawn.mirrored) == pytest.approx(0.25, abs=0.03)
