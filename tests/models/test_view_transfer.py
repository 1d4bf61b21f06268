"""View transfer against a loop over cells, cameras, heads and points."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from leapai.config import BevConfig, CameraConfig
from leapai.geometry import cameras, poses
from leapai.models import view_transfer
from leapai.models.perception import calibration_of
from leapai.models.view_transfer import ViewTransfer
from tests.scenes import make_batch

BEV = BevConfig(cell_m=12.8, channels=8)  # 7 x 8 cells
CAMERA = CameraConfig(image_size_px=(64, 96), heads=2, points=8)
SIZE = (8, 12)


@pytest.fixture
def module():
    torch.manual_seed(0)
    module = ViewTransfer(CAMERA, BEV)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return module


@pytest.fixture
def features():
    return torch.randn(2, 7, 8, *SIZE, generator=torch.Generator().manual_seed(3))


def bilinear(feature_map, x, y):
    """One sample [C] of a map [C, H, W]; zeros outside."""
    height, width = feature_map.shape[-2:]
    grid = torch.stack([(x + 0.5) / width * 2 - 1, (y + 0.5) / height * 2 - 1])
    return F.grid_sample(feature_map[None], grid[None, None, None], align_corners=False)[0, :, 0, 0]


def seen_anchors(frame, xy, camera_index):
    """Anchor [2] in map cells for each height of a cell, or None, by the numpy camera."""
    camera = frame.cameras[camera_index]
    points = np.array([[xy[0], xy[1], z] for z in CAMERA.heights_m])
    local = poses.apply(poses.invert(camera.ego_from_camera), points)
    pixels, _ = cameras.project(local, camera.intrinsics, camera.distortion)
    at = (pixels + 0.5) / 8 - 0.5
    inside = ((at >= -0.5) & (at <= np.array([SIZE[1], SIZE[0]]) - 0.5)).all(1)
    return [
        torch.tensor(a, dtype=torch.float32) if i else None for a, i in zip(at, inside, strict=True)
    ]


def slow_stream(module, features, frame, valid):
    """[Q, C] of one stream: the definition, written as loops."""
    out = []
    for cell, xy in enumerate(module.grid.cell_centres_m().tolist()):
        anchors = {n: seen_anchors(frame, xy, n) for n in range(7) if valid[n]}
        anchors = {n: at for n, at in anchors.items() if any(a is not None for a in at)}
        samples = [
            bilinear(features[n], *a) for n, at in anchors.items() for a in at if a is not None
        ]
        ipm = torch.stack(samples).mean(0) if samples else torch.zeros(features.shape[1])
        query = module.query_norm(ipm) + module.cell_embedding[cell]
        offsets = module.offsets(query).view(module.heads, module.points, 2)
        logits = module.logits(query).view(module.heads, module.points)
        attended = torch.zeros_like(ipm)
        for n, at in anchors.items():
            attended = attended + attend_one(module, features[n], at, offsets, logits)
        attended = attended / max(len(anchors), 1)
        out.append(module.out_norm(ipm + module.out(attended)))
    return torch.stack(out)


def attend_one(module, feature_map, anchors, offsets, logits):
    """What one camera gives to one cell [C]."""
    value = torch.einsum("dc,chw->dhw", module.value.weight, feature_map)
    per_height = module.points // len(anchors)
    seen = torch.tensor([anchors[p // per_height] is not None for p in range(module.points)])
    width = value.shape[0] // module.heads
    heads = []
    for k in range(module.heads):
        attention = logits[k].masked_fill(~seen, -torch.inf).softmax(0)
        part = value[k * width : (k + 1) * width]
        total = torch.zeros(width)
        for p in range(module.points):
            if seen[p]:
                at = anchors[p // per_height] + offsets[k, p]
                total = total + attention[p] * bilinear(part, *at)
        heads.append(total)
    return torch.cat(heads)


def test_equals_the_loop_forward_and_backward(module, features):
    batch = make_batch(0, seeds=(0, 1))
    batch.camera_valid[1, 2] = False
    features.requires_grad_()
    fast = module(features, calibration_of(batch)).flatten(2).transpose(1, 2)
    slow = torch.stack(
        [
            slow_stream(module, features[b], batch.frames[b], batch.camera_valid[b].tolist())
            for b in range(2)
        ]
    )
    torch.testing.assert_close(fast, slow, atol=2e-4, rtol=1e-3)
    assert fast.std() > 0.1
    weight = torch.randn(fast.shape, generator=torch.Generator().manual_seed(5))
    leaves = [features, *module.parameters()]
    for a, b in zip(
        torch.autograd.grad((fast * weight).sum(), leaves),
        torch.autograd.grad((slow * weight).sum(), leaves),
        strict=True,
    ):
        torch.testing.assert_close(a, b, atol=5e-3, rtol=5e-3)


def test_a_failed_camera_is_as_if_it_were_not_there(module, features):
    calibration = calibration_of(make_batch(0, seeds=(0, 1)))
    valid = calibration.camera_valid.clone()
    valid[:, 3] = False
    garbage = features.clone()
    garbage[:, 3] = 1e6
    failed = module(garbage, replace(calibration, camera_valid=valid))
    keep = [0, 1, 2, 4, 5, 6]
    without = view_transfer.Calibration(
        *(getattr(calibration, name)[:, keep] for name in ("intrinsics", "distortion")),
        calibration.ego_from_camera[:, keep],
        calibration.camera_valid[:, keep],
    )
    torch.testing.assert_close(failed, module(features[:, keep], without))


def test_no_camera_at_all_is_finite(module, features):
    calibration = calibration_of(make_batch(0, seeds=(0, 1)))
    nothing = replace(calibration, camera_valid=torch.zeros_like(calibration.camera_valid))
    assert module(features, nothing).isfinite().all()
