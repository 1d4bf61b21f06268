"""Projections are made once for each calibration, stream by stream."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch

from leapai.config import BevConfig, CameraConfig
from leapai.models import projection
from leapai.models.camera import encoding_order
from leapai.models.projection import Calibration, Projector, project_cells
from tests.scenes import make_batch

GRID, HEIGHTS_M, SIZE = BevConfig(cell_m=6.4).grid(), CameraConfig().heights_m, (8, 12)
CPU = torch.device("cpu")


def calibration() -> Calibration:
    """Three streams; in one a camera failed, and in one all of them."""
    batch = make_batch(0, seeds=(0, 1, 2))
    batch.camera_valid[1, 4] = False
    batch.camera_valid[2] = False
    return Calibration.of(batch.on_host())


@pytest.fixture
def calls(monkeypatch) -> list[int]:
    """Grows with each stream that is projected."""
    made: list[int] = []

    def counted(*arguments):
        made.append(len(arguments[2].camera_valid))
        return project_cells(*arguments)

    monkeypatch.setattr(projection, "project_cells", counted)
    return made


def test_streams_joined_equal_all_streams_at_once():
    joined = Projector(GRID, HEIGHTS_M, 8)(calibration(), SIZE, CPU)
    at_once = project_cells(GRID, HEIGHTS_M, calibration(), SIZE, 8)
    for field in fields(joined):
        one, other = getattr(joined, field.name), getattr(at_once, field.name)
        assert one.dtype == other.dtype, field.name
        torch.testing.assert_close(one, other, msg=field.name)
    assert len(joined.pair_map) > 100


def test_only_what_changed_is_projected_again(calls):
    project, start = Projector(GRID, HEIGHTS_M, 8), calibration()
    first = project(start, SIZE, CPU)
    assert calls == [1, 1, 1]
    assert project(replace(start, intrinsics=start.intrinsics.clone()), SIZE, CPU) is first
    assert calls == [1, 1, 1]
    start.ego_from_camera[0, 1, 2, 3] += 0.3  # changed in place, as a recalibration might
    second = project(start, SIZE, CPU)
    assert calls == [1, 1, 1, 1]
    assert not torch.equal(first.ipm_weight, second.ipm_weight)
    project(replace(start, camera_valid=~start.camera_valid), SIZE, CPU)
    assert calls == [1] * 7
    project(replace(start, camera_valid=~start.camera_valid), (4, 6), CPU)
    assert calls == [1] * 10


def test_what_is_kept_under_inference_can_be_trained_with():
    with torch.inference_mode():
        kept = Projector(GRID, HEIGHTS_M, 8)(calibration(), SIZE, CPU)
    assert not any(getattr(kept, field.name).is_inference() for field in fields(kept))


def test_images_are_encoded_group_by_group():
    valid = torch.tensor([[True, True, False, True], [True, True, True, False]])
    groups = (3, 0, 3, 1)
    encoded, counts, maps = encoding_order(valid, groups, shared=False)
    assert counts == (2, 1, 0, 3)
    assert encoded.tolist() == [1, 5, 3, 0, 4, 6]
    assert maps.tolist() == [3, 0, 6, 2, 4, 1, 5, 6]
    assert [encoded[m] for m in maps if m < 6] == [0, 1, 3, 4, 5, 6]
    encoded, counts, _ = encoding_order(valid, groups, shared=True)
    assert counts == (6,)
    assert encoded.tolist() == [0, 1, 3, 4, 5, 6]
    encoded, counts, maps = encoding_order(valid[:, :0], (), shared=False)
    assert (len(encoded), counts, len(maps)) == (0, (0, 0, 0, 0), 0)
