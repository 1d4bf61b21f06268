"""What the network does beside its job in training: denoising queries, heat map, known features."""

from dataclasses import replace

import pytest
import torch

from leapai.models.tensors import DenoisingQueries
from tests.scenes import make_batch, seeded_model, small_config

CONFIG = small_config()


@pytest.fixture(scope="module")
def model():
    return seeded_model(CONFIG)


def denoising_queries(streams: int, count: int) -> DenoisingQueries:
    generator = torch.Generator().manual_seed(3)
    return DenoisingQueries(
        reference=torch.rand(streams, count, 3, generator=generator),
        class_id=torch.randint(0, 8, (streams, count), generator=generator),
        group=torch.arange(count) % 2,
        target=torch.zeros(streams, count, dtype=torch.int64),
        valid=torch.arange(count).expand(streams, -1) < torch.tensor([[count], [count - 2]]),
    )


def streamed(model, denoising=None):
    """Predictions of the second of two frames, so that memory takes part."""
    state = model.initial_state(2)
    with torch.no_grad():
        for index in range(2):
            batch = replace(make_batch(index, seeds=(0, 1)), denoising=denoising)
            predictions, state = model(batch, state)
    return predictions.dynamic


def test_denoising_queries_do_not_leak_into_what_is_found(model):
    plain, along = streamed(model), streamed(model, denoising_queries(2, 6))
    torch.testing.assert_close(along.class_logits, plain.class_logits, atol=1e-5, rtol=1e-5)
    # Velocity from places over time sums in another order: 400 m/s x 1e-7.
    torch.testing.assert_close(along.boxes, plain.boxes, atol=1e-4, rtol=1e-5)
    assert plain.denoising is None
    assert along.denoising is not None
    assert along.denoising.class_logits.shape == (CONFIG.dynamic.layers, 2, 6, 8)
    assert along.decoder_features.shape == plain.decoder_features.shape


def test_groups_of_denoising_queries_do_not_see_each_other(model):
    first = denoising_queries(2, 6)
    moved = replace(first, reference=first.reference.clone())
    moved.reference[:, 1::2] = 0.5  # the second group only
    before, after = streamed(model, first).denoising, streamed(model, moved).denoising
    assert before is not None
    assert after is not None
    torch.testing.assert_close(
        before.class_logits[:, :, ::2], after.class_logits[:, :, ::2], atol=1e-5, rtol=1e-5
    )
    assert not torch.allclose(before.class_logits[:, :, 1::2], after.class_logits[:, :, 1::2])


def test_known_features_stand_for_the_sensors(model):
    batch = make_batch(0, seeds=(0, 1))
    with torch.no_grad():
        seen, _ = model(batch, model.initial_state(2))
        known = replace(
            batch,
            fused_bev=model.trunk(batch),
            images=batch.images[:, :0],
            points=batch.points[:0],
            point_stream=batch.point_stream[:0],
        )
        again, _ = model(known, model.initial_state(2))
    assert torch.equal(seen.dynamic.class_logits, again.dynamic.class_logits)
    assert torch.equal(seen.dynamic.boxes, again.dynamic.boxes)


def test_the_heat_map_belongs_to_training():
    batch = make_batch(0, seeds=(0, 1))
    model = seeded_model(CONFIG)
    assert model(batch, model.initial_state(2))[0].dynamic.heat_map is None
    heat_map = model.train()(batch, model.initial_state(2))[0].dynamic.heat_map
    assert heat_map.shape == (2, 8, 28, 32)
