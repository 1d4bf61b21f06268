"""Step graphs of networks with and without each task, memory and LiDAR."""

from __future__ import annotations

import pytest
import torch

from leapai.export.step_graph import StepGraph, example_inputs
from leapai.export.tensor_meanings import MEANINGS
from tests.scenes import joint_config, seeded_model, small_config, static_config

CONFIGS = {
    "both tasks": (joint_config(), {"boxes", "map_logits", "next_query", "next_bev"}),
    "objects": (small_config(), {"boxes", "next_query"}),
    "objects without memory": (small_config(enable_dynamic_temporal=False), {"boxes"}),
    "map": (static_config(), {"map_logits", "next_bev"}),
    "objects without LiDAR": (small_config(enable_lidar=False), {"boxes", "next_query"}),
}
SOME = {"boxes", "map_logits", "next_query", "next_bev"}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_graph_has_what_its_network_has(name):
    config, expected = CONFIGS[name]
    model, cameras = seeded_model(config), (1, 0, 1, 2)
    inputs = example_inputs(model, cameras)
    with torch.no_grad():
        outputs = StepGraph(model, cameras, tuple(inputs)).outputs(inputs)
    assert SOME & set(outputs) == expected
    assert {*inputs, *outputs} <= set(MEANINGS)
    assert ("points" in inputs) == config.enable_lidar
    assert all(tensor.dtype != torch.float64 for tensor in (*inputs.values(), *outputs.values()))
    memory = {each.removeprefix("next_") for each in outputs if each.startswith("next_")}
    for each in memory & set(inputs):
        assert outputs[f"next_{each}"].shape == inputs[each].shape
        assert outputs[f"next_{each}"].dtype == inputs[each].dtype
