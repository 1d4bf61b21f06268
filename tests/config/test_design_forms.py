"""Variables in the forms of the design's tables are accepted as they are written there."""

from __future__ import annotations

import pytest

from leapai.config import TaskConfig, load_config

STEP_2 = """
job_name = "lphpa_v3.0_step2_dynamic"
enable_lidar, use_dynamic_outputs = True, True
dynamic_task, static_task = True, False
occ_task, attr_task = False, False
enable_dynamic_temporal, enable_static_temporal, enable_occ_temporal = True, False, False
train_steps, finetune_steps, max_steps = 0, 75000, 75000
task_loss_weights = {"dynamic": 1.25}
batch_sizes = {"dynamic": {"train": 16, "val": 1}}
use_backbone_amp, accumulate_grad_batches = True, 1
group_lr_scale = {"stage1_backbone": 1.0, "stage1_neck": 1.0}
eval_with_visualize, eval_instance = True, False
topk_query = 128
queue_length = 4
temporal_optimization = {
    "topk_selection": True,
    "query_rearrangement": True,
    "velocity_zeroing": True,
    "random_sampling": True,
}
freeze_module_schedules = {"stage1_backbone0": 0, "lidar_vfe": 0, "lidar_middle_encoder": 0,
                           "lidar_bev_backbone": 0}
freeze_modules = ("stage1_backbone0*", "lidar_*")
trainable_modules = ("bev_dynamic_neck", "bev_dynamic_head")
draw_dynamic_cfg = {
    "dynamic_conf": 0.3,
    "draw_velo": True,
    "draw_occlusion": True,
    "draw_trajectory": True,
    "valid_range": [-150, 20, -25, 25],
    "coords": [-40, 62.4, -44.8, 44.8],
    "label_h": 112,
    "label_w": 128,
    "max_objects": 100,
}
temporal_visualization = {
    "show_history": True,
    "show_velocity": True,
    "show_occlusion": True,
    "history_frames": 3,
    "trajectory_length": 10,
    "velocity_scale": 5.0,
}
"""


@pytest.fixture
def design(tmp_path) -> TaskConfig:
    path = tmp_path / "step2.py"
    path.write_text(STEP_2)
    return load_config(path)


def test_the_launch_has_the_forms_of_section_1(design):
    assert (design.batch_sizes.train, design.batch_sizes.val) == (16, 1)
    assert design.task_loss_weights == {"dynamic": 1.25}
    assert design.group_lr_scale == {"stage1_backbone": 1.0, "stage1_neck": 1.0}
    assert design.eval_instance is False


def test_memory_and_freezing_have_the_forms_of_sections_5_and_8(design):
    assert design.temporal_optimization.random_sampling
    assert design.freeze_modules == ("stage1_backbone0*", "lidar_*")
    assert design.trainable_modules == ("bev_dynamic_neck", "bev_dynamic_head")


def test_pictures_have_the_forms_of_section_10(design):
    draw = design.draw_dynamic_cfg
    assert draw.valid_range == (-150.0, 20.0, -25.0, 25.0)
    assert draw.coords == (-40.0, 62.4, -44.8, 44.8)
    assert (draw.label_h, draw.label_w, draw.max_objects) == (112, 128, 100)
    assert design.temporal_visualization.velocity_scale == 5.0
    assert design.replace(draw_dynamic_cfg={"dynamic_conf": 0.3}) == design
