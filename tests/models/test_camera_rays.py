"""Depths of rays against points that are projected into the same cameras one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from leapai.geometry import cameras, poses
from leapai.models.camera_rays import FARTHEST_M, ray_depths
from leapai.models.cell_projection import FeatureMaps
from leapai.models.projection import Calibration
from leapai.models.ray_caster import RayCaster
from tests.scenes import make_batch

HEIGHTS_M, SIZE, STRIDE_PX = (0.0, 1.2), (8, 12), 8
MAPS = FeatureMaps(SIZE, STRIDE_PX)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def batch():
    return make_batch(0, seeds=(0, 1))


@pytest.fixture(scope="module")
def calibration(batch):
    return Calibration.of(batch.on_host())


def shown(frame, camera, cell, depth_m):
    """The point of the ego frame that a cell shows at a depth, by looking for its ray."""
    ray = cameras.pixel_rays(camera.intrinsics, camera.distortion, camera.size_px)
    row, column = (int((i + 0.5) * STRIDE_PX) for i in cell)
    # The centre of a cell of 8 pixels lies between four of them.
    middle = ray[row - 1 : row + 1, column - 1 : column + 1].mean((0, 1))
    return poses.apply(camera.ego_from_camera, (middle / middle[2] * depth_m)[None])[0]


@pytest.mark.parametrize("number", [0, 3, 6, 9])
def test_at_its_depth_a_ray_is_at_the_height_and_nowhere_else_where_it_never_is(
    batch, calibration, number
):
    depths = ray_depths(HEIGHTS_M, calibration.rigs(), MAPS)
    assert depths.shape == (14, 2, *SIZE)
    frame = batch.frames[number // 7]
    camera, met = frame.cameras[number % 7], 0
    for z, height_m in enumerate(HEIGHTS_M):
        for cell in np.ndindex(SIZE):
            depth_m = float(depths[number, z, *cell])
            near, far = (shown(frame, camera, cell, at)[2] for at in (0.0, FARTHEST_M))
            if depth_m == FARTHEST_M:
                assert (near - height_m) * (far - height_m) > 0
                continue
            met += 1
            off = abs(shown(frame, camera, cell, depth_m)[2] - height_m)
            assert off < 0.02 * max(depth_m, 1.0)  # of the mean of four rays
    assert met > 20


def test_a_failed_camera_has_no_rays_whatever_its_calibration_says(calibration):
    valid = calibration.camera_valid.clone()
    valid[0, 2] = False
    intrinsics = calibration.intrinsics.clone()
    intrinsics[0, 2] = torch.nan
    failed = replace(calibration, camera_valid=valid, intrinsics=intrinsics)
    depths = ray_depths(HEIGHTS_M, failed.rigs(), MAPS)
    assert (depths[2] == FARTHEST_M).all()
    others = [i for i in range(14) if i != 2]
    assert np.array_equal(depths[others], ray_depths(HEIGHTS_M, calibration.rigs(), MAPS)[others])


def test_a_lens_that_cannot_be_inverted_gives_numbers(calibration):
    distortion = calibration.distortion.clone()
    distortion[:] = torch.tensor([-3.0, 5.0, 0.1, 0.1, -9.0])
    depths = ray_depths(HEIGHTS_M, replace(calibration, distortion=distortion).rigs(), MAPS)
    assert np.isfinite(depths).all()
    assert (depths > 0).all()


def test_rays_are_cast_once_for_each_calibration(calibration):
    caster = RayCaster(HEIGHTS_M, STRIDE_PX)
    first = caster(calibration, SIZE, CPU)
    assert caster(calibration.mapped(torch.clone), SIZE, CPU) is first
    poses_m = calibration.ego_from_camera.clone()
    poses_m[0, 0, 2, 3] += 0.1
    raised = caster(replace(calibration, ego_from_camera=poses_m), SIZE, CPU)
    assert not torch.equal(raised[0], first[0])
    assert torch.equal(raised[1:], first[1:])
