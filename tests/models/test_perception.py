"""The whole network: names, shapes, and what a stream may rely on."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from leapai.config import BevConfig, CameraConfig, LidarConfig, TaskConfig
from leapai.data.transforms import collate
from leapai.geometry import poses
from leapai.models.build import build_model
from leapai.models.dynamic.query_memory import empty_state
from leapai.models.perception import Perception
from leapai.models.tensors import DynamicPredictions, FrameBatch, TemporalState
from tests.scenes import (
    IMAGE_SIZE_PX,
    joint_config,
    make_batch,
    make_frame,
    seeded_model,
    small_config,
)

OUTPUTS = ("class_logits", "regression", "angle_logits", "occlusion_score", "boxes", "reference")


@pytest.fixture(scope="module")
def model():
    return seeded_model(small_config())


def assert_same(
    one: DynamicPredictions, other: DynamicPredictions, tolerance: float = 1e-5
) -> None:
    for name in OUTPUTS:
        torch.testing.assert_close(
            getattr(one, name), getattr(other, name), atol=tolerance, rtol=tolerance
        )


def tensors_of(state: TemporalState) -> list[torch.Tensor]:
    """All of them, nested ones too."""
    found: list[torch.Tensor] = []
    state.mapped(lambda tensor: found.append(tensor) or tensor)
    return found


@torch.no_grad()
def run(model, batches, state=None):
    """Predictions of each batch and the last state."""
    state = model.initial_state(batches[0].streams) if state is None else state
    results = []
    for batch in batches:
        predictions, state = model(batch, state)
        results.append(predictions.dynamic)
    return results, state


def on_meta(value):
    """Returns tensors, also those of nested lists and tuples, without their values."""
    if isinstance(value, list | tuple):
        return type(value)(on_meta(part) for part in value)
    return value.to("meta") if isinstance(value, torch.Tensor) else value


def full_size() -> TaskConfig:
    return TaskConfig(
        job_name="full",
        dynamic_task=True,
        static_task=False,
        enable_dynamic_temporal=True,
        train_steps=0,
        finetune_steps=1,
        max_steps=1,
        task_loss_weights={"dynamic": 1.25},
    )


CONVOLUTIONAL = ("lidar_middle_encoder", "lidar_bev_backbone", "fuser", "bev_dynamic_neck")


def without_arithmetic_of_convolutions(network: Perception) -> Perception:
    """The network whose convolutional parts have shapes and no values: at full size nearly all time
    goes into them. The rest computes with zeros in the place of their features."""
    modules = dict(network.named_children())
    for name in CONVOLUTIONAL:
        modules[name].to("meta")
        modules[name].register_forward_pre_hook(lambda _module, inputs: on_meta(inputs))
        modules[name].register_forward_hook(lambda _module, _, output: torch.zeros(output.shape))

    def of_shape(group: int, images: torch.Tensor) -> torch.Tensor:
        backbone, neck = (modules[f"stage1_{part}{group}"] for part in ("backbone", "neck"))
        maps = neck.to("meta")(backbone.to("meta")(images.to("meta")))
        return torch.zeros(maps.shape)

    network._encode = of_shape
    return network


def shapes_of(network: Perception, batch: FrameBatch) -> dict[str, tuple[int, ...]]:
    """Output shape of each named module in one step."""
    shapes: dict[str, tuple[int, ...]] = {}

    def record(name):
        def hook(_module, _inputs, output):
            if name == "view_transfer":  # with predictions of pixels, which are off
                output, pixels = output
                assert pixels is None
            shapes[name] = tuple(output.shape) if isinstance(output, torch.Tensor) else output

        return hook

    for name, module in network.named_children():
        module.register_forward_hook(record(name))
    with torch.inference_mode():
        predictions, state = network(batch, network.initial_state(1))
    shapes["predictions"], shapes["state"] = predictions.dynamic, state
    return shapes


def test_full_size_has_the_documented_names_and_shapes():
    frame = make_frame(0)
    size = (512, 960)
    image = np.zeros((*size, 3), np.uint8)
    resized = [replace(c, image=image, size_px=size) for c in frame.cameras]
    network = without_arithmetic_of_convolutions(build_model(full_size()).eval())
    shapes = shapes_of(network, collate([replace(frame, cameras=tuple(resized))], [True]))
    for group, cameras in enumerate((1, 1, 1, 4)):
        strides = [tuple(x.shape[1:]) for x in shapes[f"stage1_backbone{group}"]]
        assert strides == [(128, 64, 120), (256, 32, 60), (512, 16, 30)]
        assert shapes[f"stage1_neck{group}"] == (cameras, 256, 64, 120)
    for name in ("view_transfer", "lidar_bev_backbone", "fuser"):
        assert shapes[name] == (1, 256, 112, 128), name
    assert shapes["lidar_vfe"][1] == 64
    assert shapes["lidar_middle_encoder"] == (1, 128, 112, 128)
    assert shapes["bev_dynamic_neck"] == (1, 512, 112, 128)
    predictions = shapes["predictions"]
    assert predictions.class_logits.shape == (3, 1, 384, 8)
    assert predictions.regression.shape == (3, 1, 384, 17)
    assert predictions.angle_logits.shape == (3, 1, 384, 8)
    assert predictions.occlusion_score.shape == (3, 1, 384, 1)
    assert predictions.boxes.shape == (1, 384, 11)
    assert predictions.decoder_features.shape == (3, 1, 384, 256)
    check_memory_shapes(predictions, queries=384, slots=384, channels=256)
    assert shapes["state"].query.shape == (1, 384, 256)
    assert shapes["state"].valid.sum() == 128


def check_memory_shapes(predictions, queries, slots, channels):
    memory = predictions.memory
    assert memory.current_query.shape == (1, queries, channels)
    assert memory.history_query.shape == (1, slots, channels)
    assert memory.reference_m.shape == memory.velocity_mps.shape == (1, slots, 3)
    assert memory.reference_clipped.shape == memory.displacement_m.shape == (1, slots, 3)
    assert memory.timestamp_us.shape == memory.track_id.shape == (1, slots)
    assert memory.timestamp_us.dtype == memory.track_id.dtype == torch.int64
    assert memory.current_from_stored.shape == (1, slots, 4, 4)
    assert memory.prev2curr.shape == (1, 4, 4)
    assert memory.interval_s.shape == (1,)


def test_a_small_configuration_has_the_same_stages():
    shapes = shapes_of(build_model(small_config()).eval(), make_batch(0))
    assert shapes["stage1_neck3"] == (4, 16, 8, 12)
    for name in ("view_transfer", "lidar_bev_backbone", "fuser", "bev_dynamic_neck"):
        assert shapes[name] == (1, 16, 28, 32), name
    assert shapes["predictions"].boxes.shape == (1, 24, 11)
    check_memory_shapes(shapes["predictions"], queries=24, slots=24, channels=16)


def test_memory_slots_cost_what_the_design_says():
    state = empty_state(1, 4 * 128, 256)

    def size(t):
        return t.numel() * t.element_size()

    assert size(state.query) == 512 * 1024
    assert size(state.reference_m) == size(state.velocity_mps) == 6 * 1024
    assert size(state.timestamp_us) == 4 * 1024
    assert size(state.last_from_stored) == 32 * 1024


def test_streaming_equals_the_unrolled_clip(model):
    """Frame by frame with the state saved to disk between frames, against one loop with gradients
    on."""
    batches = [make_batch(i, seeds=(0, 1)) for i in range(5)]
    state = model.initial_state(2)
    unrolled = []
    for batch in batches:
        predictions, state = model(batch, state)
        unrolled.append(predictions.dynamic)
    assert unrolled[-1].boxes.requires_grad
    carried = model.initial_state(2)
    for batch, expected in zip(batches, unrolled, strict=True):
        (streamed,), carried = run(model, [batch], carried)
        carried = carried.mapped(torch.clone)
        assert_same(streamed, expected)
    for one, other in zip(tensors_of(state), tensors_of(carried), strict=True):
        torch.testing.assert_close(one, other)


def test_the_state_carries_no_gradient(model):
    predictions, state = model(make_batch(0), model.initial_state(1))
    assert predictions.dynamic.boxes.requires_grad
    assert not any(tensor.requires_grad for tensor in tensors_of(state))


def test_memory_matters(model):
    """Otherwise the tests of streaming could not fail."""
    results, _ = run(model, [make_batch(0), make_batch(1)])
    alone, _ = run(model, [make_batch(1, first=True)])
    assert (results[1].class_logits - alone[0].class_logits).abs().max() > 1e-3


def test_streams_are_independent(model):
    """Permuting streams permutes results, though streams start, fail and reset at different
    times."""

    def step(index, order):
        frames = [make_frame(index, seed=s, sequence=f"drive{s}") for s in order]
        faulty = [
            replace(f, points=None) if f.sequence == "drive1" and index == 2 else f for f in frames
        ]
        first = [index == 0 or (s == 2 and index == 3) for s in order]
        return collate(faulty, first)

    order = (2, 0, 1)
    straight, state = run(model, [step(i, (0, 1, 2)) for i in range(5)])
    permuted, permuted_state = run(model, [step(i, order) for i in range(5)])
    for a, b in zip(straight, permuted, strict=True):
        for name in OUTPUTS:
            stream_axis = 0 if name == "boxes" else 1
            picked = getattr(a, name).index_select(stream_axis, torch.tensor(order))
            # Velocity from places over time sums in another order: 400 m/s x 1e-7.
            torch.testing.assert_close(picked, getattr(b, name), atol=1e-4, rtol=1e-5)
    picked_state = state.stream(order)
    assert torch.equal(picked_state.valid, permuted_state.valid)
    assert torch.equal(picked_state.query_index, permuted_state.query_index)


def test_a_stream_of_a_batch_equals_the_stream_alone(model):
    together, _ = run(model, [make_batch(i, seeds=(0, 1)) for i in range(3)])
    alone, _ = run(model, [make_batch(i, seeds=(1,)) for i in range(3)])
    # Velocity from places over time sums in another order: 400 m/s x 1e-7.
    torch.testing.assert_close(together[-1].boxes[1], alone[-1].boxes[0], atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("where", ["query", "reference_m", "velocity_mps", "confidence"])
def test_a_nan_does_not_outlive_its_frame(model, where):
    """A memory slot that is NaN counts as empty: no frame and no other stream is spoilt by it."""
    _, state = run(model, [make_batch(i, seeds=(0, 1)) for i in range(2)])
    broken = getattr(state, where).clone()
    broken[0] = float("nan")
    spoilt = replace(state, **{where: broken})
    results, after = run(model, [make_batch(i, seeds=(0, 1)) for i in range(2, 7)], spoilt)
    clean, _ = run(model, [make_batch(i, seeds=(0, 1)) for i in range(2, 7)], state)
    torch.testing.assert_close(results[0].boxes[1], clean[0].boxes[1])
    assert all(r.boxes.isfinite().all() for r in results)
    assert after.query.isfinite().all()
    assert after.valid.all()


def test_a_frame_of_nan_sensors_and_pose_is_survived(model):
    frames = [make_frame(i) for i in range(6)]
    frames[2] = replace(
        frames[2], points=np.full((50, 5), np.nan, np.float32), ego2global=np.full((4, 4), np.nan)
    )
    results, state = run(model, [collate([f], [i == 0]) for i, f in enumerate(frames)])
    assert all(r.boxes.isfinite().all() for r in results)
    assert results[3].memory.reset[0]  # where the ego was is unknown, so memory starts anew
    assert not results[4].memory.reset[0]
    assert state.valid.all()


def test_a_nan_inside_the_network_does_not_outlive_its_frame(model):
    """The BEV of one frame becomes NaN: that frame is lost, the next ones are not."""
    calls = []

    def poison(_module, _inputs, output):
        calls.append(1)
        return output * float("nan") if len(calls) == 2 else output

    hook = model.fuser.register_forward_hook(poison)
    try:
        results, state = run(model, [make_batch(i) for i in range(6)])
    finally:
        hook.remove()
    assert results[1].boxes.isnan().any()
    assert all(r.boxes.isfinite().all() for r in results[2:])
    assert state.query.isfinite().all()
    assert state.valid.all()


def test_empty_memory_changes_nothing(model):
    """With no valid slot the decoder says what it says without any slots at all."""
    no_memory = small_config(enable_dynamic_temporal=False)
    single = build_model(no_memory).eval()
    single.load_state_dict(model.state_dict())
    (with_slots,), _ = run(model, [make_batch(0)])
    (without,), state = run(single, [make_batch(0)])
    assert state.valid.shape == (1, 0)
    assert_same(with_slots, without)
    garbage = empty_state(1, 24, 16)
    garbage = replace(garbage, query=torch.full_like(garbage.query, 1e3))
    (masked,), _ = run(model, [make_batch(0)], garbage)
    assert_same(with_slots, masked, tolerance=0)


def test_global_coordinates_far_away_change_nothing(model):
    """500 km and 5 000 km from the origin: results within 1 mm (float32 poses would lose 0.5 m)."""
    away = poses.from_xyz_yaw(np.array([500_000.0, -5_000_000.0, 200.0]), 2.1)

    def drive(shift):
        frames = [make_frame(i) for i in range(5)]
        return [
            collate([replace(f, ego2global=shift @ f.ego2global)], [i == 0])
            for i, f in enumerate(frames)
        ]

    near, near_state = run(model, drive(np.eye(4)))
    far, far_state = run(model, drive(away))
    for a, b in zip(near, far, strict=True):
        difference = (a.memory.reference_m - b.memory.reference_m).abs().max()
        assert difference < 1e-3
        grid = small_config().bev.grid()
        centres = [grid.denormalise(p.boxes[..., :3]) for p in (a, b)]
        assert (centres[0] - centres[1]).abs().max() < 1e-3
    torch.testing.assert_close(near_state.reference_m, far_state.reference_m, atol=1e-3, rtol=0)


def test_one_set_of_weights_works_with_any_sensor_missing(model):
    frame = make_frame(0)
    blind = tuple(replace(c, image=None) for c in frame.cameras)
    variants = {
        "all": frame,
        "no lidar": replace(frame, points=None),
        "empty sweep": replace(frame, points=np.zeros((0, 5), np.float32)),
        "no cameras": replace(frame, cameras=blind),
        "one camera": replace(frame, cameras=(frame.cameras[0], *blind[1:])),
        "nothing": replace(frame, cameras=blind, points=None),
    }
    boxes = {}
    for name, variant in variants.items():
        (predictions,), _ = run(model, [collate([variant], [True])])
        assert predictions.boxes.isfinite().all(), name
        boxes[name] = predictions.class_logits
    names = list(variants)
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            assert not torch.allclose(boxes[a], boxes[b], atol=1e-6), (a, b)


def test_a_failed_camera_s_pixels_are_never_read(model):
    batch = make_batch(0)
    batch.camera_valid[0, 4] = False
    (one,), _ = run(model, [batch])
    images = batch.images.clone()
    images[0, 4] = 255
    (other,), _ = run(model, [replace(batch, images=images)])
    assert_same(one, other, tolerance=0)


def test_a_failed_camera_costs_no_time(model):
    batch, seen = make_batch(0), []
    batch.camera_valid[0, 4] = False  # one of the four side cameras
    batch.camera_valid[0, 2] = False  # the only one that looks back
    hooks = [
        model.get_submodule(f"stage1_backbone{group}").register_forward_pre_hook(
            lambda _, inputs, group=group: seen.append((group, len(inputs[0])))
        )
        for group in range(4)
    ]
    run(model, [batch])
    for hook in hooks:
        hook.remove()
    assert seen == [(0, 1), (1, 1), (3, 3)]


def test_each_layer_refines_what_the_layer_before_it_found(model):
    """Branches made to add the same step: references walk that step a layer."""
    network, step = seeded_model(small_config()), torch.tensor([0.2, -0.1, 0.3])
    with torch.no_grad():
        for branches in network.bev_dynamic_head.branches:
            branches.regression[-1].weight.zero_()
            branches.regression[-1].bias[:3] = step
    (predictions,), _ = run(network, [make_batch(0)])
    start = network.bev_dynamic_head.reference.detach()
    for layer in range(3):
        expected = (start + (layer + 1) * step).sigmoid()
        got = predictions.reference[layer, 0]
        torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(predictions.regression[layer, 0, :, :3].sigmoid(), got)
    torch.testing.assert_close(predictions.boxes[0, :, :3], predictions.reference[-1, 0])


def test_cameras_only():
    network = build_model(small_config(enable_lidar=False)).eval()
    assert not any(name.startswith("lidar") for name, _ in network.named_parameters())
    (with_points,), _ = run(network, [make_batch(0)])
    nothing = replace(make_frame(0), points=None)
    (without,), _ = run(network, [collate([nothing], [True])])
    assert_same(with_points, without, tolerance=0)


def test_a_rig_of_other_cameras_needs_no_other_weights(model):
    """Weights belong to groups: five cameras in another order run on the same network."""
    frame = make_frame(0)
    five = replace(frame, cameras=tuple(frame.cameras[i] for i in (6, 2, 1, 3, 4)))
    (predictions,), _ = run(model, [collate([five], [True])])
    assert predictions.boxes.isfinite().all()


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_100", "dla34", "convnext_atto"])
def test_other_backbones_by_name(name):
    camera = CameraConfig(image_size_px=IMAGE_SIZE_PX, backbone=name, heads=2)
    (predictions,), _ = run(build_model(small_config(camera=camera)).eval(), [make_batch(0)])
    assert predictions.boxes.isfinite().all()


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_a_backbone_without_the_maps_we_need_is_refused(name):
    camera = CameraConfig(image_size_px=IMAGE_SIZE_PX, backbone=name, heads=2)
    with pytest.raises(ValueError, match=rf"'{name}' gives .* maps at strides .* are needed"):
        build_model(small_config(camera=camera))


def test_impossible_parts_are_explained():
    with pytest.raises(ValueError, match=r"camera.backbone = 'no_such_net'.*timm"):
        build_model(small_config(camera=CameraConfig(backbone="no_such_net")))
    with pytest.raises(ValueError, match=r"pillar_m = 0.3.*2, 4, 8"):
        build_model(small_config(lidar=LidarConfig(pillar_m=0.3)))
    with pytest.raises(ValueError, match=r"static.cell_m = 0.6: bev.cell_m = 3.2 must be 2, 4, 8"):
        joint_config(static={"cell_m": 0.6, "x_range_m": (-20.8, 62.0), "y_range_m": (-22.2, 22.2)})
    with pytest.raises(ValueError, match=r"x_range_m = \(-20.0, 62.4\).*nearest that is: \(-20.8"):
        joint_config(static={"cell_m": 0.8, "x_range_m": (-20.0, 62.4)})
    with pytest.raises(ValueError, match="not a whole number"):
        BevConfig(cell_m=0.7)
