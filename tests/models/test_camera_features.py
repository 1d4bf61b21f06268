"""Images encoded group by group against each image by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from leapai.config import CameraConfig
from tests.scenes import make_batch, seeded_model, small_config


@pytest.mark.parametrize("shared", [False, True])
@torch.no_grad()
def test_each_camera_has_the_features_of_its_group(shared):
    camera = CameraConfig(**small_config().camera.model_dump() | {"shared": shared})
    model = seeded_model(small_config(camera=camera))
    batch = make_batch(0, seeds=(0, 1))
    valid = batch.camera_valid.clone()
    valid[0, 2] = valid[0, 4] = valid[1, 0] = False
    batch = model.prepared(replace(batch, camera_valid=valid))
    features = model.camera_features(batch.images, batch.tables)
    for stream in range(2):
        for number, group in enumerate(batch.camera_groups):
            image = batch.images[stream, number][None]
            alone = model._encode(0 if shared else group, image)[0]
            expected = alone if valid[stream, number] else torch.zeros_like(alone)
            torch.testing.assert_close(features[stream, number], expected, atol=1e-3, rtol=1e-3)
