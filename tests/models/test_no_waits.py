"""A step of inference waits for no value and is one graph."""

from __future__ import annotations

import logging
import warnings
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from leapai.config import CameraConfig, DynamicConfig
from leapai.data.transforms import collate
from leapai.models import tensors
from leapai.models.tensors import FrameBatch, TemporalState
from tests.scenes import IMAGE_SIZE_PX, JOINT, joint_config, make_frame, seeded_model, small_config
from tests.waits import Waits

SMALL_CAMERA = {
    "image_size_px": IMAGE_SIZE_PX,
    "backbone": "resnetv2_18",
    "backbone_args": {"width_factor": 0.125},
    "heads": 2,
}
DEPTH = {
    "camera": CameraConfig(**SMALL_CAMERA, depth_bins=6, bev_blocks=1, shared=True),
    "lidar": small_config().lidar.model_copy(update={"intensity": "ground"}),
    "memory_interval_s": 0.15,
}
CONFIGS = {"both tasks": joint_config(), "depth, shared, ground": joint_config(**DEPTH)}


def faulty_batch(index: int) -> FrameBatch:
    """Frame `index` of two streams; one lacks two cameras, and in frame 1 the other its LiDAR."""
    frames = [make_frame(index, seed=seed, sequence=f"drive{seed}") for seed in (0, 1)]
    cameras = [
        replace(c, image=None) if n in (2, 4) else c for n, c in enumerate(frames[0].cameras)
    ]
    frames[0] = replace(frames[0], cameras=tuple(cameras))
    if index == 1:
        frames[1] = replace(frames[1], points=None)
    return replace(collate(frames, [index == 0] * 2), frames=())


def ways_to_wait() -> dict[str, object]:
    values, mask = torch.arange(3.0), torch.tensor([True, False, True])
    return {
        "item": values[0].item,
        "an if": lambda: 1 if mask.any() else 0,
        "nonzero": mask.nonzero,
        "a mask": lambda: values[mask],
        "an assignment by a mask": lambda: values.clone().__setitem__(mask, values[:2]),
        "unique": values.unique,
        "equal": lambda: torch.equal(values, values),
        "repetitions": lambda: values.repeat_interleave(torch.tensor([1, 2, 1])),
        "cpu": values.cpu,
        "tolist": values.tolist,
        "numbers to the device": lambda: torch.tensor([1.0, 2.0]),
        "numbers to where a tensor is": lambda: values.new_tensor([1.0, 2.0]),
        "an array to the device": lambda: torch.from_numpy(np.zeros(2)).to("meta"),
    }


@pytest.mark.parametrize("way", ways_to_wait())
def test_the_counter_sees(way):
    work = ways_to_wait()[way]
    with Waits() as waits:
        work()
    assert waits.counts.total() > 0


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@torch.no_grad()
def test_a_frame_waits_for_nothing(config):
    model = seeded_model(config)
    state = model.initial_state(2)
    for index in range(3):
        batch = model.prepared(faulty_batch(index))
        with Waits() as waits:
            predictions, state = model(batch, state)
        assert waits.counts == {}, index
    assert predictions.dynamic.boxes.isfinite().all()
    assert state.valid.any()


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@torch.no_grad()
def test_a_device_whose_values_nobody_can_read_gets_no_copies(config, monkeypatch):
    """Tensors of the device "meta" have no values: to read one is an error."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # which it lacks
    model = seeded_model(config).to("meta")
    batch = model.prepared(faulty_batch(1).to("meta"))
    with Waits() as waits:
        predictions, state = model(batch, model.initial_state(2, "meta"))
    assert waits.counts == {}
    assert predictions.dynamic.boxes.device.type == state.query.device.type == "meta"


@torch.no_grad()
def test_a_batch_that_is_not_prepared_gives_the_same():
    model = seeded_model(small_config())
    batch, state = faulty_batch(0), model.initial_state(2)
    one, _ = model(batch, state)
    other, _ = model(model.prepared(batch), state)
    assert torch.equal(one.dynamic.boxes, other.dynamic.boxes)


@pytest.fixture
def without_logs():
    """Tracing is slow where each of its records is kept."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def small_graph(**changes: object) -> nn.Module:
    """Parts of a network, each once: tracing takes its time for every layer."""
    dynamic = DynamicConfig(
        neck_channels=16, queries=24, embed=16, heads=2, points=4, ffn=16, layers=1
    )
    return seeded_model(small_config(**DEPTH, **changes, dynamic=dynamic)).requires_grad_(False)


@pytest.mark.usefixtures("without_logs")
def test_torch_compile_sees_one_graph():
    model = small_graph(**JOINT)
    batch = model.prepared(faulty_batch(0))
    torch._dynamo.reset()
    found = torch._dynamo.explain(model)(batch, model.initial_state(2))
    assert found.graph_break_count == 0, found.break_reasons
    assert found.graph_count == 1


class Flat(nn.Module):
    """The step with tensors in and tensors out, as an export has it."""

    def __init__(self, model: nn.Module, batch: FrameBatch, state: TemporalState) -> None:
        super().__init__()
        self.model, self.batch, self.state = model, batch, state

    def forward(self, batch: list[Tensor], state: list[Tensor]) -> tuple[Tensor, ...]:
        predictions, after = self.model(filled(self.batch, batch), filled(self.state, state))
        return predictions.dynamic.boxes, *flat(after)


def flat(value: tensors.Tensors) -> list[Tensor]:
    """Returns all tensors, those of nested values too."""
    found: list[Tensor] = []
    value.mapped(lambda tensor: found.append(tensor) or tensor)
    return found


def filled(value: tensors.Tensors, with_tensors: list[Tensor]) -> tensors.Tensors:
    """Returns the value with other tensors, in the order of `flat`."""
    remaining = iter(with_tensors)
    return value.mapped(lambda _: next(remaining))


@pytest.mark.usefixtures("without_logs")
@torch.no_grad()
def test_an_exported_program_gives_what_the_network_gives():
    model = small_graph()
    batches = [model.prepared(faulty_batch(index)) for index in range(2)]
    states = [model.initial_state(2)]
    step = Flat(model, batches[0], states[0])
    points = torch.export.Dim("points", min=2, max=100_000)
    shapes = [
        {0: points} if len(tensor) == len(batches[0].points) else None
        for tensor in flat(batches[0])
    ]
    state_shapes = [None] * len(flat(states[0]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(
            step, (flat(batches[0]), flat(states[0])), dynamic_shapes=(shapes, state_shapes)
        ).module()
    exported = flat(states[0])
    for batch in batches:
        boxes, *exported = program(flat(batch), exported)
        predictions, state = model(batch, states[-1])
        states.append(state)
        torch.testing.assert_close(boxes, predictions.dynamic.boxes, atol=1e-4, rtol=1e-5)
    assert len(batches[0].points) != len(batches[1].points)
