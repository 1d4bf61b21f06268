"""Task configurations: the design's values, one clear line for each mistake, nothing leaks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from leapai.config import ConfigError, TaskConfig, explain, load_config
from leapai.config.checks import OTHER_GROUPS

CONFIGS = Path(__file__).resolve().parents[1] / "projects" / "perception" / "configs"
FULL = "lpperception_current_hpa_"
STEPS = ("step1", "step2_dynamic", "step2_static")
NAMES = [f"{size}{step}" for size in (FULL, "tiny_") for step in STEPS]

# The table of docs/design.md, section 1: variable -> value in step 1, step 2 dynamic, step 2
# static.
DESIGN = {
    "job_name": ("lphpa_v3.0_step1", "lphpa_v3.0_step2_dynamic", "lphpa_v3.0_step2_static"),
    "enable_lidar": (True, True, True),
    "use_dynamic_outputs": (True, True, True),
    "dynamic_task": (True, True, False),
    "static_task": (True, False, True),
    "occ_task": (False, False, False),
    "attr_task": (False, False, False),
    "enable_dynamic_temporal": (False, True, False),
    "enable_static_temporal": (False, False, True),
    "enable_occ_temporal": (False, False, False),
    "train_steps": (125_000, 0, 0),
    "finetune_steps": (0, 75_000, 75_000),
    "max_steps": (125_000, 75_000, 75_000),
    "task_loss_weights": ({"dynamic": 2.5, "static": 0.67}, {"dynamic": 1.25}, {"static": 1.0}),
    "use_backbone_amp": (True, True, True),
    "accumulate_grad_batches": (1, 1, 1),
    "group_lr_scale": ({"stage1_backbone": 1.0, "stage1_neck": 1.0},) * 3,
    "eval_with_visualize": (False, True, True),
    "eval_instance": (False, False, False),
    "topk_query": (128, 128, 128),
    "queue_length": (4, 4, 4),
}


def tiny() -> TaskConfig:
    return load_config(CONFIGS / "tiny_step2_dynamic.py")


@pytest.fixture
def written(tmp_path):
    """Writes a configuration: the tiny one, and lines that come after it."""

    def write(*lines: str) -> Path:
        path = tmp_path / "mine.py"
        path.write_text(explain(tiny()) + "\n".join(lines) + "\n")
        return path

    return write


def complaint(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path.parent) in message
    return message


@pytest.mark.parametrize("name", NAMES)
def test_shipped_configurations_load_and_say_how_to_run_them(name):
    path = CONFIGS / f"{name}.py"
    assert isinstance(load_config(path), TaskConfig)
    assert re.search(rf"[ /]{name}\b", path.read_text().split('"""')[1])


def test_full_size_configurations_have_the_values_of_the_design():
    for column, step in enumerate(STEPS):
        config = load_config(CONFIGS / f"{FULL}{step}.py")
        for name, values in DESIGN.items():
            assert getattr(config, name) == values[column], f"{step}: {name}"
        assert (config.batch_sizes.train, config.batch_sizes.val) == (16, 1)


def test_full_size_network_has_the_numbers_of_the_design():
    config = load_config(CONFIGS / f"{FULL}step2_dynamic.py")
    grid = config.bev.grid()
    assert (grid.rows, grid.columns, config.bev.channels) == (112, 128, 256)
    assert config.camera.image_size_px == (512, 960)
    assert (config.camera.heads, config.camera.points, len(config.camera.heights_m)) == (8, 8, 4)
    assert (config.lidar.max_pillars, config.lidar.max_points_per_pillar) == (20_000, 48)
    assert (config.dynamic.queries, config.history_slots) == (384, 384)
    assert (config.dynamic.layers, config.dynamic.points, config.dynamic.ffn) == (3, 20, 512)


def test_step_2_freezes_all_that_step_1_learned_about_seeing():
    step1, step2 = (load_config(CONFIGS / f"{FULL}{step}.py") for step in STEPS[:2])
    assert set(step1.freeze_module_schedules.values()) == {step1.max_steps}
    assert set(step2.freeze_module_schedules.values()) == {0}
    frozen = set(step2.freeze_module_schedules)
    assert set(step2.active_modules()) - frozen == {"bev_dynamic_neck", "bev_dynamic_head"}


@pytest.mark.parametrize("step", STEPS)
def test_tiny_configurations_have_the_stages_of_the_full_size(step):
    small, full = (
        load_config(CONFIGS / f"tiny_{step}.py"),
        load_config(CONFIGS / f"{FULL}{step}.py"),
    )
    expected = tuple(name for name in full.active_modules() if name not in OTHER_GROUPS)
    assert small.active_modules() == expected  # the tiny cameras share a backbone
    assert small.enable_dynamic_temporal == full.enable_dynamic_temporal
    assert small.dynamic.queries < full.dynamic.queries


@pytest.mark.parametrize("name", NAMES)
def test_what_is_explained_is_the_same_configuration_again(name, tmp_path):
    config = load_config(CONFIGS / f"{name}.py")
    path = tmp_path / "explained.py"
    path.write_text(explain(config))
    assert load_config(path) == config


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (
            "enable_lidr = True",
            ["enable_lidr = True", "unknown name", "did you mean enable_lidar?"],
        ),
        ("camera['pionts'] = 4", ["camera.pionts = 4", "did you mean points?"]),
        ("xyz = 1", ["xyz = 1: unknown name", "valid names: job_name, enable_lidar"]),
        ("max_steps = '2000'", ["max_steps = '2000'", "must be a valid integer"]),
        ("enable_lidar = 1", ["enable_lidar = 1", "must be a valid boolean"]),
        ("queue_length = 0", ["queue_length = 0", "must be greater than 0"]),
        ("freeze_modules = ['fuser']", ["freeze_modules = ['fuser']", "must be a valid tuple"]),
        ("optimizer['learning_rate'] = float('nan')", ["optimizer.learning_rate", "finite"]),
        ("del dynamic_task", ["dynamic_task is missing"]),
        ("dynamic_tsk = True; del dynamic_task", ["did you mean dynamic_task?"]),
        ("bev['cell_m'] = 0.7", ["bev: ", "whole number of 0.7 m cells"]),
        ("camera['groups'] = {'CAM': 'front'}", ["camera.groups.CAM = 'front'", "'front_wide'"]),
        ("camera['image_size_px'] = (128, 250)", ["(128, 250) must be divisible by"]),
        ("camera['heights_m'] = ()", ["camera.heights_m = ()", "at least 1 item"]),
        (
            "draw_dynamic_cfg['coords'] = (9.0, -9.0, -5.0, 5.0)",
            ["draw_dynamic_cfg: coords = (9.0, -9.0, -5.0, 5.0) must be", "low < high"],
        ),
        ("max_steps = 7", ["max_steps = 7 must be train_steps + finetune_steps = 6000"]),
        ("dynamic_task = False", ["enable_dynamic_temporal = True, but dynamic_task = False"]),
        ("enable_static_temporal = True", ["static_task = False", "set static_task = True or"]),
        ("static_task = True", ["task_loss_weights = {'dynamic': 1.25}", "static_task = True"]),
        ("topk_query = 500", ["topk_query = 500 exceeds dynamic.queries = 160", "lower"]),
        ("queue_length = 1", ["queue_length = 1 keeps no history", "set queue_length to 2"]),
        (
            "trainable_modules = ('fuser', 'bev_dynamic_*')",
            ["trainable_modules names fuser, which freeze_modules freezes", "take it out"],
        ),
        (
            "freeze_modules = (); trainable_modules = ('stage1_neck2',)",
            ["stage1_neck2, which freeze_module_schedules (at step 0) freezes"],
        ),
        ("freeze_modules = ('lidar_*',)", ["stage1_backbone0 at step 0", "add it there"]),
        ("freeze_module_schedules['fuser'] = 100", ["does not freeze it at step 0"]),
        ("freeze_module_schedules['fusor'] = 0", ["no module 'fusor'"]),
        ("freeze_modules = ('lidr_*',)", ["'lidr_*' matches no module"]),
        ("trainable_modules = ('bev_static_*',)", ["does not build", "switch its task on"]),
        ("group_lr_scale = {'stage1_bakbone': 0.1}", ["stage1_bakbone", "begins no module"]),
    ],
)
def test_a_mistake_is_one_line_with_file_variable_value_and_remedy(written, line, parts):
    path = written(line)
    message = complaint(path)
    assert message.startswith(f"{path}: ")
    for part in parts:
        assert part in message


def test_every_variable_is_documented():
    text = (CONFIGS.parents[2] / "docs" / "configuration.md").read_text()
    words = set(re.findall(r"[a-z_0-9]+", text))
    assert _names(TaskConfig) <= words


def _names(schema: type[BaseModel]) -> set[str]:
    """Variables of a configuration and of its sections."""
    names = set(schema.model_fields)
    for field in schema.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            names |= _names(field.annotation)
    return names


def test_several_mistakes_are_counted(written):
    assert "(and 1 more)" in complaint(written("enable_lidr = True", "max_steps = '2000'"))


def test_a_missing_file_is_named(tmp_path):
    assert "there is no such file" in complaint(tmp_path / "step2.py")


def test_an_error_in_the_file_is_shown_with_its_line(written):
    last = len(explain(tiny()).splitlines()) + 1
    path = written()
    for line, words in (("max_steps = 1 +", "SyntaxError"), ("job_name = jobname", "NameError")):
        assert f"{path}:{last}: {words}" in complaint(written(line))


def test_an_error_in_an_imported_configuration_is_shown_where_it_stands(tmp_path):
    (tmp_path / "broken_base.py").write_text("job_name = 'x'\n\nmax_steps = 1 / 0\n")
    path = tmp_path / "mine.py"
    path.write_text("from broken_base import *\n")
    assert f"{tmp_path / 'broken_base.py'}:3: ZeroDivisionError" in complaint(path)
    path.write_text("from brokn_base import *\n")
    assert f"{path}:1: ModuleNotFoundError" in complaint(path)


def test_a_configuration_imports_another_and_overrides_what_differs(tmp_path, written):
    written()
    child = tmp_path / "child.py"
    child.write_text(
        "import math\nfrom mine import *\n_half = 0.5\nmax_gap_s = math.sqrt(4) * _half\n"
        "lidar = {**lidar, 'max_pillars': 7}\n"
    )
    config, base = load_config(child), tiny()
    assert (config.max_gap_s, config.lidar.max_pillars) == (1.0, 7)
    assert config.lidar.pillar_m == base.lidar.pillar_m
    assert config.dynamic == base.dynamic


def test_configurations_of_the_same_name_in_two_folders_stay_apart(tmp_path):
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "base_of_both.py").write_text(explain(tiny()) + f"job_name = '{name}'\n")
        (folder / "child.py").write_text("from base_of_both import *\n")
    assert [load_config(tmp_path / name / "child.py").job_name for name in "ab"] == ["a", "b"]


@pytest.mark.parametrize("line", ["import sys; sys.exit(3)", "raise SystemExit('done')", "exit(0)"])
def test_a_configuration_that_ends_the_program_is_a_mistake(written, line):
    path = written(line)
    message = complaint(path)
    assert message.startswith(f"{path}:")
    assert "it ends the program" in message


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("job_name = '../x'", ["job_name: '../x' must be a plain name", "without folders"]),
        ("camera['backbone'] = 'hf_hub:x/y'", ["camera.backbone: 'hf_hub:x/y' must be the plain"]),
        (
            "camera['backbone_args'] = {'checkpoint_path': 'x'}",
            ["camera.backbone_args: 'checkpoint_path' is no argument", "width_factor"],
        ),
        ("camera['backbone_args'] = {'width_factor': 9}", ["= 9 must be a number from 0.01"]),
        ("dynamic['queries'] = 10**9", ["dynamic.queries = 1000000000", "less than or equal to"]),
        ("bev['cell_m'] = 0.02", ["needs about", "GB for one stream", "at most 32 are allowed"]),
    ],
)
def test_what_leads_elsewhere_or_is_too_large_is_refused_with_the_bound(written, line, parts):
    message = complaint(written(line))
    for part in parts:
        assert part in message
