"""View transfer against a loop over cells, cameras, heads and points."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from leapai.config import BevConfig, CameraConfig
from leapai.geometry import cameras, poses
from leapai.models import sampling
from leapai.models.pixel_head import DepthBins
from leapai.models.projection import Calibration
from leapai.models.view_transfer import ViewTransfer
from tests.scenes import make_batch

BEV = BevConfig(cell_m=12.8, channels=8)  # 7 x 8 cells
CAMERA = CameraConfig(image_size_px=(64, 96), heads=2, points=8)
CPU = torch.device("cpu")
SIZE = (8, 12)


def made(**changes):
    torch.manual_seed(0)
    module = ViewTransfer(CAMERA.model_copy(update=changes), BEV)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return module


def calibration_of(batch):
    return Calibration.of(batch.on_host())


def transferred(module, features, calibration):
    rays = module.cast(calibration, SIZE, CPU) if module.pixels else None
    return module(features, module.project(calibration, SIZE, CPU), rays)


@pytest.fixture
def module():
    return made()


@pytest.fixture
def features():
    return torch.randn(2, 7, 8, *SIZE, generator=torch.Generator().manual_seed(3))


def bilinear(feature_map, x, y):
    """One sample [C] of a map [C, H, W]; zeros outside."""
    height, width = feature_map.shape[-2:]
    grid = torch.stack([(x + 0.5) / width * 2 - 1, (y + 0.5) / height * 2 - 1])
    return F.grid_sample(feature_map[None], grid[None, None, None], align_corners=False)[0, :, 0, 0]


def seen_anchors(frame, xy, camera_index):
    """Anchor [3], in map cells and metres of depth, for each height of a cell, or None, by the
    numpy camera."""
    camera = frame.cameras[camera_index]
    points = np.array([[xy[0], xy[1], z] for z in CAMERA.heights_m])
    local = poses.apply(poses.invert(camera.ego_from_camera), points)
    pixels, depth = cameras.project(local, camera.intrinsics, camera.distortion)
    at = (pixels + 0.5) / 8 - 0.5
    placed = np.concatenate([at, depth[:, None]], 1)
    inside = ((at >= -0.5) & (at <= np.array([SIZE[1], SIZE[0]]) - 0.5)).all(1)
    return [
        torch.tensor(a, dtype=torch.float32) if i else None
        for a, i in zip(placed, inside, strict=True)
    ]


def depth_share(distribution, depth_m):
    """How much more probable than by chance a depth is in each cell [H, W], from probabilities
    [D, H, W] of depths that grow from 1.5 m to 80 m by the same factor each."""
    bins = len(distribution)
    depths = [1.5 * (80 / 1.5) ** (i / (bins - 1)) for i in range(bins)]
    if depth_m <= depths[0]:
        return bins * distribution[0]
    if depth_m >= depths[-1]:
        return bins * distribution[-1]
    far = next(i for i, depth in enumerate(depths) if depth > depth_m)
    share = math.log(depth_m / depths[far - 1]) / math.log(depths[far] / depths[far - 1])
    return bins * ((1 - share) * distribution[far - 1] + share * distribution[far])


def weighted(module, feature_map, rays_m, depth_m):
    """A map [C, H, W] as it counts for an anchor at this depth."""
    if module.pixels is None:
        return feature_map
    distribution = module.pixels(feature_map[None], rays_m[None]).depth[0].softmax(0)
    return feature_map * depth_share(distribution, float(depth_m))


def slow_stream(module, features, rays_m, frame, valid):
    """[Q, C] of one stream: the definition, written as loops."""
    out = []
    for cell, xy in enumerate(module.grid.cell_centres_m().tolist()):
        anchors = {n: seen_anchors(frame, xy, n) for n in range(7) if valid[n]}
        anchors = {n: at for n, at in anchors.items() if any(a is not None for a in at)}
        samples = [
            bilinear(weighted(module, features[n], rays_m[n], a[2]), *a[:2])
            for n, at in anchors.items()
            for a in at
            if a is not None
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
                at = anchors[p // per_height][:2] + offsets[k, p]
                total = total + attention[p] * bilinear(part, *at)
        heads.append(total)
    return torch.cat(heads)


@pytest.mark.parametrize("depth_bins", [0, 5])
def test_equals_the_loop_forward_and_backward(features, depth_bins):
    module = made(depth_bins=depth_bins)
    batch = make_batch(0, seeds=(0, 1))
    batch.camera_valid[1, 2] = False
    features.requires_grad_()
    fast = transferred(module, features, calibration_of(batch))[0].flatten(2).transpose(1, 2)
    rays = module.cast(calibration_of(batch), SIZE, CPU).unflatten(0, (2, 7))
    valid = batch.camera_valid.tolist()
    slow = torch.stack(
        [slow_stream(module, features[b], rays[b], batch.frames[b], valid[b]) for b in range(2)]
    )
    torch.testing.assert_close(fast, slow, atol=2e-4, rtol=1e-3)
    assert fast.std() > 0.1
    weight = torch.randn(fast.shape, generator=torch.Generator().manual_seed(5))
    leaves = [features, *module.parameters()]
    for a, b in zip(
        torch.autograd.grad((fast * weight).sum(), leaves, materialize_grads=True),
        torch.autograd.grad((slow * weight).sum(), leaves, materialize_grads=True),
        strict=True,
    ):
        torch.testing.assert_close(a, b, atol=5e-3, rtol=5e-3)


def test_without_depth_and_blocks_the_bev_is_that_of_the_plain_module_bit_for_bit(features):
    module, calibration = made(), calibration_of(make_batch(0, seeds=(0, 1)))
    assert not any(name.startswith(("pixels", "blocks")) for name in module.state_dict())
    rows, projection = (
        sampling.to_rows(features.flatten(0, 1)),
        module.project(calibration, SIZE, CPU),
    )
    sums = sampling.weighted_rows(rows, projection.ipm_index, projection.ipm_weight)
    ipm = sampling.segment_sum(sums, projection.cell_offsets)
    cells = module.out_norm(ipm + module.out(module._attend(rows, ipm, projection, SIZE)))
    bev, pixels = transferred(module, features, calibration)
    assert torch.equal(bev.flatten(2).transpose(1, 2), cells.view(2, -1, 8))
    assert pixels is None


def test_blocks_refine_the_bev(features):
    module, calibration = made(bev_blocks=2).eval(), calibration_of(make_batch(0, seeds=(0, 1)))
    bev, _ = transferred(module, features, calibration)
    blocks, module.blocks = module.blocks, None
    torch.testing.assert_close(bev, blocks(transferred(module, features, calibration)[0]))


def test_sure_of_the_depth_only_cells_at_that_depth_are_filled():
    """All pixels at 10 m: inverse perspective mapping leaves cells far from there empty."""
    module, batch = made(depth_bins=9), make_batch(0, seeds=(0, 1))
    projection = module.project(calibration_of(batch), SIZE, CPU)
    logits = torch.full((14, 9, *SIZE), -50.0)
    at_10_m = int(DepthBins(9).position(torch.tensor(10.0)).round())
    logits[:, at_10_m] = 50.0
    taps = module._depth_weight(logits, projection).unflatten(-1, (-1, 4))
    weight = taps.amax(-1)[projection.anchor_seen]  # some taps lie beyond the edge of the map
    away_m = (projection.depth_m[projection.anchor_seen] - 10).abs()
    assert (weight[away_m < 1] > 2).all()
    assert (away_m < 1).any()
    assert weight[away_m > 8].max() < 1e-6


def test_a_failed_camera_is_as_if_it_were_not_there(module, features):
    calibration = calibration_of(make_batch(0, seeds=(0, 1)))
    valid = calibration.camera_valid.clone()
    valid[:, 3] = False
    garbage = features.clone()
    garbage[:, 3] = 1e6
    failed = transferred(module, garbage, replace(calibration, camera_valid=valid))
    keep = [0, 1, 2, 4, 5, 6]
    without = Calibration(
        *(getattr(calibration, name)[:, keep] for name in ("intrinsics", "distortion")),
        calibration.ego_from_camera[:, keep],
        calibration.camera_valid[:, keep],
    )
    torch.testing.assert_close(failed, transferred(module, features[:, keep], without))


def test_no_camera_at_all_is_finite(module, features):
    calibration = calibration_of(make_batch(0, seeds=(0, 1)))
    nothing = replace(calibration, camera_valid=torch.zeros_like(calibration.camera_valid))
    assert transferred(module, features, nothing)[0].isfinite().all()
