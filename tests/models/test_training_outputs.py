"""What the network does beside its job in training: denoising queries, heat map, known features."""

from dataclasses import replace

import pytest
import torch

from leapai.data.transforms import collate, prepare
from leapai.models.tensors import DenoisingQueries
from leapai.training.auxiliary_criterion import AuxiliaryCriterion
from leapai.training.freezing import freeze
from leapai.training.targets import TargetMaker
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


LEARNING = small_config(
    loss={"dense_weight": 1.0}, camera=CONFIG.camera.model_copy(update={"depth_bins": 6})
)


def test_pixels_and_dense_heat_maps_belong_to_training():
    batch, model = make_batch(0, seeds=(0, 1)), seeded_model(LEARNING)
    calls = []
    for head in model.fuser.dense:
        head.register_forward_hook(lambda *_: calls.append(1))
    assert model(batch, model.initial_state(2))[0].auxiliary is None
    assert not calls, "no time is spent on them"
    auxiliary = model.train()(batch, model.initial_state(2))[0].auxiliary
    assert auxiliary.heat_maps.shape == (2, 2, 8, 28, 32)
    assert auxiliary.pixels.depth.shape == (14, 6, 8, 12)
    assert auxiliary.pixels.classes.shape == (14, 8, 8, 12)
    for name in ("fuser", "view_transfer"):
        freeze(model.get_submodule(name))
    assert model.train()(batch, model.initial_state(2))[0].auxiliary is None
    assert len(calls) == 2, "a frozen trunk has no losses"


def test_each_dense_head_sees_its_own_sensor_alone():
    batch, model = make_batch(0), seeded_model(LEARNING).train()
    model.eval()  # of batch norm, so that only sensors make a difference
    model.fuser.training = True
    maps = model(batch, model.initial_state(1))[0].auxiliary.heat_maps
    blind = replace(batch, images=torch.zeros_like(batch.images))
    deaf = replace(batch, points=batch.points[:0], point_stream=batch.point_stream[:0])
    other_cameras = model(blind, model.initial_state(1))[0].auxiliary.heat_maps
    other_points = model(deaf, model.initial_state(1))[0].auxiliary.heat_maps
    assert torch.equal(maps[1], other_cameras[1])
    assert not torch.allclose(maps[0], other_cameras[0])
    assert torch.equal(maps[0], other_points[0])
    assert not torch.allclose(maps[1], other_points[1])


def test_heads_that_only_losses_read_change_no_detection():
    batch, model = make_batch(0), seeded_model(LEARNING)
    expected = model(batch, model.initial_state(1))[0].dynamic
    with torch.no_grad():
        for parameter in model.fuser.dense.parameters():
            parameter.fill_(7.0)
    found = model(batch, model.initial_state(1))[0].dynamic
    assert torch.equal(found.class_logits, expected.class_logits)
    assert torch.equal(found.boxes, expected.boxes)


def test_cameras_that_share_a_backbone_use_the_first_alone():
    shared = small_config(camera=CONFIG.camera.model_copy(update={"shared": True}))
    batch, model = make_batch(0), seeded_model(shared)
    calls = []
    model.stage1_backbone0.register_forward_hook(lambda _, inputs, __: calls.append(len(inputs[0])))
    features = model.camera_features(batch.images, model.prepared(batch).tables)
    assert calls == [7]
    names = {name.partition(".")[0] for name in model.state_dict()}
    assert not names & {f"stage1_{part}{i}" for part in ("backbone", "neck") for i in (1, 2, 3)}
    neck, backbone = model.stage1_neck0, model.stage1_backbone0
    for camera in range(7):
        alone = neck(backbone(batch.images[:, camera]))
        torch.testing.assert_close(features[:, camera], alone, atol=1e-4, rtol=1e-4)


def test_without_any_task_only_pixels_are_predicted():
    pixels_alone = small_config(
        dynamic_task=False, enable_dynamic_temporal=False, task_loss_weights={},
        camera=LEARNING.camera, enable_lidar=False,
    )  # fmt: skip
    batch, model = make_batch(0), seeded_model(pixels_alone)
    predictions, state = model(batch, model.initial_state(1))
    assert predictions.dynamic is None
    assert predictions.static is None
    tables = model.prepared(batch).tables
    features = model.camera_features(batch.images, tables).flatten(0, 1)
    expected = model.view_transfer.pixels(features, tables.ray_depth_m)
    assert torch.equal(predictions.auxiliary.pixels.depth, expected.depth)
    assert torch.equal(predictions.auxiliary.pixels.classes, expected.classes)
    assert state.has_last.all()


def test_a_rig_without_cameras_learns_without_a_loss_of_pixels():
    """All ranks take the same path, whatever rigs they have."""
    frame = replace(make_batch(0).frames[0], cameras=())
    batch, model = collate([prepare(frame, (64, 96))], [True]), seeded_model(LEARNING).train()
    auxiliary = model(batch, model.initial_state(1))[0].auxiliary
    criterion = AuxiliaryCriterion(LEARNING)
    parts = criterion(auxiliary, batch, TargetMaker(LEARNING).make(batch))
    assert {"depth", "pixel_class"} < set(parts)
    assert float(parts["depth"]) == float(parts["pixel_class"]) == 0
    parts["total"].backward()
    assert all(not p.grad.any() for p in model.view_transfer.pixels.parameters())
