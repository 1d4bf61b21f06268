"""`compile = True`: the network keeps its names and outputs, compiled where that works."""

from __future__ import annotations

import copy

import pytest
import torch
from torch._dynamo.utils import counters

from leapai.config.network_sections import CameraConfig
from leapai.models import compilation
from leapai.models.build import build_model
from leapai.models.camera import Backbone
from tests.scenes import make_batch, seeded_model, small_config


def test_all_backbones_and_necks_are_compiled_and_names_stay(monkeypatch):
    compiled = []

    def compile_module(module):
        compiled.append(module)

    monkeypatch.setattr(compilation, "why_not", lambda device: "")
    monkeypatch.setattr(torch.nn.Module, "compile", compile_module)
    model = build_model(small_config(compile=True))
    names = [name for name, module in model.named_children() if module in compiled]
    assert sorted(names) == sorted(
        f"stage1_{kind}{i}" for i in range(4) for kind in ("backbone", "neck")
    )
    assert list(model.state_dict()) == list(build_model(small_config()).state_dict())
    assert len(compiled) == len(names), "without it nothing is compiled"


def test_one_graph_serves_all_groups_and_any_number_of_images(monkeypatch):
    """Cameras fail, so the number of images changes: with a graph for each number and group torch
    would give up. Traced alone, and small, since compiling takes long."""
    compile_module = torch.nn.Module.compile
    monkeypatch.setattr(compilation, "why_not", lambda device: "")
    monkeypatch.setattr(
        torch.nn.Module, "compile", lambda self: compile_module(self, backend="eager")
    )
    torch._dynamo.reset()
    counters.clear()
    groups = {
        f"stage1_backbone{i}": Backbone(torch.nn.Conv2d(3, 4, 3), [4], CameraConfig())
        for i in range(4)
    }
    plain = {name: copy.deepcopy(module).eval() for name, module in groups.items()}
    compilation.compile_encoders(torch.nn.ModuleDict(groups).eval())
    with torch.inference_mode():
        for count in (2, 3, 4, 5):
            images = torch.randint(0, 256, (count, 3, 8, 8), dtype=torch.uint8)
            for name, module in groups.items():
                torch.testing.assert_close(module(images), plain[name](images), rtol=0, atol=0)
    assert counters["stats"]["unique_graphs"] == 2  # two images, any number
    assert not counters["graph_break"]
    torch._dynamo.reset()


def test_a_machine_without_a_compiler_says_so_and_runs_the_same(monkeypatch):
    def without_compiler(function):
        def run(*_):
            raise RuntimeError("No working C++ compiler found\nand more lines")

        return run

    monkeypatch.setattr(torch, "compile", without_compiler)
    compilation.why_not.cache_clear()
    with pytest.warns(UserWarning, match=r"not work here: No working C\+\+ compiler found; the"):
        model = build_model(small_config(compile=True))
    compilation.why_not.cache_clear()
    plain = seeded_model(small_config()).eval()
    model.load_state_dict(plain.state_dict())
    batch = make_batch(0)
    with torch.no_grad():
        tables = plain.prepared(batch).tables
        ours, expected = (m.camera_features(batch.images, tables) for m in (model.eval(), plain))
    torch.testing.assert_close(ours, expected, rtol=0, atol=0)
