"""Figures and a picture in the middle of training."""

import numpy as np
import torch

from leapai.evaluation.metrics import LINE, run_metrics
from leapai.training.validating import picture_of, validate_now
from tests.scenes import JOINT, seeded_model
from tests.training.runs import StubLog, training_config

CPU = torch.device("cpu")


def test_both_tasks_have_metrics_and_the_road_is_on_the_picture():
    config = training_config(**JOINT, draw_static_cfg={"static_conf": 0.0})
    model, logs = seeded_model(config).eval(), [StubLog(0, 2)]
    metrics = validate_now(model, config, logs, CPU)
    assert {metric.event for metric in run_metrics(LINE)} - {"velocity_error_mps"} <= metrics.keys()
    assert 0 <= metrics["IoU_lane_markings"] <= 1
    picture = picture_of(model, config, logs, CPU)
    hidden = config.model_copy(
        update={"draw_static_cfg": config.draw_static_cfg.model_copy(update={"static_conf": 1.0})}
    )
    assert (picture != picture_of(model, hidden, logs, CPU)).any(-1).mean() > 0.1
    assert picture.dtype == np.uint8
