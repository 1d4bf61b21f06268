"""Resizing and cropping move pixels and calibration together."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from leapai.data.transforms import collate, on_one_rig, prepare, prepare_camera
from leapai.geometry import cameras, poses
from leapai.types import CAMERA_GROUPS
from tests.scenes import IMAGE_SIZE_PX, make_frame


def camera_of(size_px, spot_m=None):
    """A camera with a bright spot where `spot_m` (camera frame) is seen."""
    height, width = size_px
    intrinsics = np.array(
        [[0.9 * width, 0, 0.52 * width], [0, 0.9 * width, 0.47 * height], [0, 0, 1]]
    )
    image = np.zeros((height, width, 3), np.uint8)
    camera = replace(
        make_frame(0).cameras[0],
        image=image,
        size_px=size_px,
        intrinsics=intrinsics,
        distortion=np.array([-0.2, 0.02, 0.001, 0.0, 0.0]),
    )
    if spot_m is not None:
        (u, v) = cameras.project(spot_m[None], intrinsics, camera.distortion)[0][0]
        width_px = max(1.5, max(size_px) / 200)
        rows, columns = np.mgrid[:height, :width]
        spot = np.exp(-((rows - v) ** 2 + (columns - u) ** 2) / (2 * width_px**2))
        image[:] = (255 * spot[..., None]).astype(np.uint8)
    return camera


@pytest.mark.parametrize("size_px", [(900, 1600), (2048, 1550), (512, 960), (120, 400), (64, 96)])
def test_a_spot_stays_under_its_projection(size_px):
    spot = np.array([0.4, -0.1, 8.0])
    prepared = prepare_camera(camera_of(size_px, spot), (256, 480))
    assert prepared.image.shape == (256, 480, 3)
    brightness = prepared.image[..., 0] / prepared.image[..., 0].sum()
    rows, columns = np.mgrid[:256, :480]
    seen = [(brightness * columns).sum(), (brightness * rows).sum()]
    expected = cameras.project(spot[None], prepared.intrinsics, prepared.distortion)[0][0]
    np.testing.assert_allclose(seen, expected, atol=0.3)


@pytest.mark.parametrize("size_px", [(900, 1600), (720, 1280), (481, 903), (2048, 1550)])
@pytest.mark.parametrize("network_px", [(256, 480), (128, 240), (64, 96)])
def test_pixels_are_close_to_the_mean_over_their_area(size_px, network_px):
    rows, columns = np.mgrid[: size_px[0], : size_px[1]]
    waves = 127 + 100 * np.sin(rows / 17.0) * np.cos(columns / 23.0)
    camera = camera_of(size_px)
    image = np.repeat(waves.astype(np.uint8)[..., None], 3, axis=2)
    prepared = prepare_camera(replace(camera, image=image), network_px)
    scale = max(network_px[0] / size_px[0], network_px[1] / size_px[1])
    height, width = (max(round(s * scale), n) for s, n in zip(size_px, network_px, strict=True))
    whole = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    left, top = _cut(whole, prepared.image)
    expected = whole[top : top + network_px[0], left : left + network_px[1]]
    assert np.abs(prepared.image.astype(int) - expected).mean() < 1.0


def _cut(whole, part):
    """Left and top at which `part` was cut out of `whole`: at one of them both are closest."""
    left = (whole.shape[1] - part.shape[1]) // 2
    tops = range(whole.shape[0] - part.shape[0] + 1)
    columns = np.s_[left : left + part.shape[1]]
    away = [
        np.abs(whole[top : top + part.shape[0], columns].astype(int) - part).mean() for top in tops
    ]
    return left, int(np.argmin(away))


def test_the_right_size_is_left_alone():
    camera = make_frame(0).cameras[0]
    prepared = prepare_camera(camera, IMAGE_SIZE_PX)
    assert np.array_equal(prepared.image, camera.image)
    np.testing.assert_allclose(prepared.intrinsics, camera.intrinsics)


def test_a_tall_image_keeps_its_horizon():
    prepared = prepare_camera(camera_of((2048, 1550)), (512, 960))
    assert abs(prepared.intrinsics[1, 2] - 0.45 * 512) <= 1


def test_a_failed_camera_stays_failed_with_its_calibration():
    camera = replace(camera_of((900, 1600)), image=None)
    prepared = prepare_camera(camera, (512, 960))
    assert prepared.image is None
    whole = prepare_camera(camera_of((900, 1600)), (512, 960))
    np.testing.assert_allclose(prepared.intrinsics, whole.intrinsics)


def test_collate_marks_what_failed_and_keeps_streams_apart():
    one, other = make_frame(0), make_frame(1, seed=3)
    broken = tuple(replace(c, image=None) if c.name == "back" else c for c in one.cameras)
    batch = collate([replace(one, cameras=broken, points=None), other], [True, False])
    assert batch.camera_valid.tolist() == [[c.name != "back" for c in one.cameras], [True] * 7]
    assert batch.lidar_valid.tolist() == [False, True]
    assert batch.images.dtype == torch.uint8
    assert batch.images.shape == (2, 7, 3, *IMAGE_SIZE_PX)
    assert (batch.images[0, 2] == 0).all()
    picture = other.cameras[5].image.transpose(2, 0, 1)
    assert torch.equal(batch.images[1, 5], torch.from_numpy(picture.copy()))
    assert (batch.point_stream == 1).all()
    assert len(batch.points) == len(other.points)
    assert batch.camera_groups == (0, 1, 2, 3, 3, 3, 3)
    assert batch.is_first.tolist() == [True, False]
    assert batch.ego2global.dtype == torch.float64


def test_a_rig_without_cameras_and_one_without_lidar_make_batches():
    frames = [replace(make_frame(i), cameras=()) for i in range(2)]
    prepared = [prepare(f, IMAGE_SIZE_PX, {"front_left": "front_wide"}) for f in frames]
    batch = collate(prepared, [True, True])
    assert batch.images.shape[:3] == (2, 0, 3)
    assert batch.camera_valid.shape == (2, 0)
    assert batch.camera_valid.dtype == torch.bool
    assert batch.intrinsics.shape == (2, 0, 3, 3)
    assert batch.distortion.shape == (2, 0, 5)
    assert batch.ego_from_camera.shape == (2, 0, 4, 4)
    assert len(batch.points) == sum(len(f.points) for f in frames)
    batch = collate([prepare(replace(make_frame(0), points=None), IMAGE_SIZE_PX)], [True])
    assert batch.points.shape == (0, 5)
    assert not batch.lidar_valid.any()


def test_poses_stay_exact_to_the_micrometre_far_from_the_origin():
    far = poses.from_xyz_yaw(np.array([412_345.123456, 5_412_345.654321, 10.0]), 0.3)
    batch = collate([replace(make_frame(0), ego2global=far)], [True])
    assert batch.ego2global[0, 0, 3].item() == far[0, 3]


def test_groups_of_the_configuration_win():
    prepared = prepare(make_frame(0), IMAGE_SIZE_PX, {"front_left": "front_wide"})
    assert prepared.cameras[3].group == "front_wide"
    with pytest.raises(ValueError, match=r"'periscope', which drive does not have; its cameras"):
        prepare(make_frame(0), IMAGE_SIZE_PX, {"periscope": "back"})


def test_different_rigs_do_not_mix():
    frame = make_frame(0)
    with pytest.raises(ValueError, match="different cameras"):
        collate([frame, replace(frame, cameras=frame.cameras[:3])], [True, True])


def test_frames_of_different_rigs_share_a_batch_group_by_group():
    rich = prepare(make_frame(0, sequence="rich"), (32, 64))
    poor = prepare(make_frame(0, sequence="poor"), (32, 64))
    kept = [c for c in poor.cameras if c.group != poor.cameras[0].group][::-1]
    poor = replace(poor, cameras=tuple(kept))
    with pytest.raises(ValueError, match="have different cameras"):
        collate([rich, poor], [True, True])
    frames = on_one_rig([rich, poor])
    batch = collate(frames, [True, True])
    assert batch.camera_valid[0].all()
    assert int(batch.camera_valid[1].sum()) == len(kept)
    for frame, own in zip(frames, (rich, poor), strict=True):
        for group in CAMERA_GROUPS:
            images = [c.image for c in frame.cameras if c.group == group and c.image is not None]
            expected = [c.image for c in own.cameras if c.group == group]
            assert len(images) == len(expected)
            assert all(a is b for a, b in zip(images, expected, strict=True))
    added = [c for c in frames[1].cameras if c.image is None]
    assert [c.group for c in added] == [rich.cameras[0].group] * len(added)
    assert np.isfinite(batch.intrinsics.numpy()).all()


def test_frames_of_one_rig_stay_as_they_are():
    frames = [prepare(make_frame(index), (32, 64)) for index in range(2)]
    assert all(a is b for a, b in zip(on_one_rig(frames), frames, strict=True))
