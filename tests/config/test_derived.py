"""What is written once: freezing in the schedule, the range in `bev`, one batch for all tasks."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from leapai.checkpoints import config_of
from leapai.config import BevConfig, DrawDynamicConfig, TaskConfig
from leapai.config.checks import TRUNK_MODULES
from leapai.types import BevGrid
from leapai.weights import shipped_checkpoint
from tests.scenes import joint_config, small_config


def test_lists_of_modules_follow_from_the_schedule():
    config = small_config(freeze_module_schedules={**dict.fromkeys(TRUNK_MODULES, 0)})
    assert config.freeze_modules == TRUNK_MODULES
    assert config.trainable_modules == ("bev_dynamic_neck", "bev_dynamic_head")
    later = config.replace(freeze_module_schedules={"fuser": 0, "lidar_vfe": 5})
    assert later.freeze_modules == ("fuser",)
    assert "lidar_vfe" in later.trainable_modules
    assert "fuser" not in later.trainable_modules


def test_lists_that_are_given_must_agree_with_the_schedule():
    given = {"freeze_modules": ("fuser",), "trainable_modules": ("bev_dynamic_*",)}
    config = small_config(freeze_module_schedules={"fuser": 0}, **given)
    assert config.freeze_modules == ("fuser",)
    assert config.trainable_modules == ("bev_dynamic_*",)
    for change, message in (
        (
            {"freeze_module_schedules": {}},
            "freeze_modules names fuser, but freeze_module_schedules",
        ),
        ({"freeze_module_schedules": {"fuser": 3}}, "does not freeze it at step 0"),
        ({"trainable_modules": ("fuser",)}, "trainable_modules names fuser, which freeze_modules"),
    ):
        with pytest.raises(ValueError, match=message):
            config.replace(**change)


def test_the_default_range_is_that_of_the_grid():
    assert BevConfig().grid() == BevGrid()
    draw = DrawDynamicConfig()
    assert draw.coords == (-40.0, 62.4, -44.8, 44.8)
    assert (draw.label_h, draw.label_w) == (112, 128)


WIDE = {"x_range_m": (-20.0, 80.0), "y_range_m": (-30.0, 30.0), "cell_m": 2.0, "channels": 16}


def test_the_canvas_follows_from_the_bev():
    draw = small_config(bev=WIDE, draw_dynamic_cfg={"max_objects": 7}).draw_dynamic_cfg
    assert (draw.coords, draw.max_objects) == ((-20.0, 80.0, -30.0, 30.0), 7)
    assert (draw.label_h, draw.label_w) == (30, 50)


def test_a_canvas_that_is_given_may_be_a_part_of_the_bev():
    part = {"coords": (0.0, 40.0, -16.0, 16.0)}
    draw = small_config(bev=WIDE, draw_dynamic_cfg=part).draw_dynamic_cfg
    assert draw.coords == (0.0, 40.0, -16.0, 16.0)
    assert (draw.label_h, draw.label_w) == (16, 20)
    both = small_config(bev=WIDE, draw_dynamic_cfg={**part, "label_h": 40, "label_w": 60})
    assert (both.draw_dynamic_cfg.label_h, both.draw_dynamic_cfg.label_w) == (40, 60)


def test_a_derived_canvas_is_derived_again_when_the_bev_changes():
    changed = small_config().replace(bev=WIDE)
    assert changed.draw_dynamic_cfg.coords == (-20.0, 80.0, -30.0, 30.0)


def test_a_section_that_two_configurations_share_stays_as_it_is():
    draw = DrawDynamicConfig(draw_velo=False)
    one, other = small_config(draw_dynamic_cfg=draw), small_config(bev=WIDE, draw_dynamic_cfg=draw)
    assert one.draw_dynamic_cfg.label_w == 32
    assert other.draw_dynamic_cfg.label_w == 50
    assert draw.label_w == 128


def test_derived_values_survive_a_file_and_a_checkpoint():
    config = small_config(bev=WIDE, freeze_module_schedules={"fuser": 0})
    assert TaskConfig.model_validate_json(config.model_dump_json()) == config
    assert TaskConfig.model_validate(config.model_dump()) == config


def test_the_shipped_checkpoint_keeps_its_configuration():
    config = config_of(shipped_checkpoint())
    assert config.draw_dynamic_cfg.coords == (-22.4, 41.6, -22.4, 22.4)
    assert (config.draw_dynamic_cfg.label_h, config.draw_dynamic_cfg.label_w) == (56, 80)
    assert config.freeze_modules[-1] == "fuser"


SIZES = {"train": 4, "val": 1}


@pytest.mark.parametrize(
    ("make", "sizes"),
    [
        (small_config, {"dynamic": SIZES}),
        (small_config, {"dynamic": SIZES, "static": {"train": 9, "val": 1}}),  # it is off
        (joint_config, {"dynamic": SIZES, "static": SIZES}),
        (joint_config, SIZES),
    ],
)
def test_sizes_of_batches_may_be_given_by_task(make, sizes):
    config = make(batch_sizes=sizes)
    assert config.batch_sizes.train == 4
    assert config.replace(batch_sizes={"train": 2}).batch_sizes.train == 2


def test_sizes_by_task_may_replace_those_for_all():
    assert small_config().replace(batch_sizes={"dynamic": {"train": 3}}).batch_sizes.train == 3


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"dynamic": SIZES, "static": {"train": 9, "val": 1}}, "must agree over the tasks"),
        ({"dynamic": SIZES}, "names no static, but static_task = True"),
        ({"dynamic": {"trian": 4}, "static": {"trian": 4}}, "trian"),
        ({"dynamic": 4, "static": 4}, "dynamic"),
    ],
)
def test_sizes_of_tasks_that_contradict_each_other_are_refused(sizes, message):
    with pytest.raises(ValidationError, match=message):
        joint_config(batch_sizes=sizes)
