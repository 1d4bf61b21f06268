"""Trainings with other classes than the default ones: on real data, on exported data, on two."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from leapai.checkpoints import read_checkpoint, save_checkpoint
from leapai.data.log import RenamedLog, open_logs
from leapai.data.nuscenes.nuscenes_classes import TRACKING_NAMES
from leapai.data.samplers import StreamingDataset
from leapai.data.submissions import write_submission
from leapai.data.transforms import collate, prepare
from leapai.distributed import Ranks
from leapai.evaluation.evaluate_stream import evaluate_stream
from leapai.models.build import build_model
from leapai.runs.run_inputs import open_inputs
from leapai.streaming.session import StreamSession
from leapai.training.initialise import initialise_from
from leapai.training.progress import Progress
from leapai.training.resume import read_training, save_training
from leapai.training.train_step import TrainStep
from leapai.types import NUSCENES
from leapai_world.export_nuscenes import export_nuscenes
from tests.training.runs import NO_AUGMENTATION, StubLog, training_config

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "nuscenes"
ATTRIBUTES = {
    *("vehicle.moving", "vehicle.parked", "vehicle.stopped"),
    *("pedestrian.moving", "pedestrian.standing", "cycle.with_rider", "cycle.without_rider"),
    "",
}
TWO = {"classes": {"car": "MOD", "barrier": "SOD"}, "half_turn": ["barrier"], "map": ["Curb"]}
SIZE_PX = (64, 96)


def config_with(vocabulary, **changes):
    return training_config(
        vocabulary=vocabulary, augmentation=NO_AUGMENTATION, **{"topk_query": 8, **changes}
    )


def step_of(config):
    torch.manual_seed(0)
    return TrainStep(config, build_model(config), Ranks(), Progress())


def test_two_classes_train_a_step_and_are_predicted():
    dense = {"loss": {"dense_weight": 1.0}, "camera": {"depth_bins": 6}}
    base = training_config()
    config = config_with(TWO, camera=base.camera.replace(**dense["camera"]), loss=dense["loss"])
    logs = [RenamedLog(StubLog(seed), config.vocabulary) for seed in (0, 1)]
    step = step_of(config)
    step.add(StreamingDataset(logs, config).window(0))
    losses = step.report.losses
    assert {"class", "noisy_class", "heat_map", "camera_heat_map", "pixel_class"} <= set(losses)
    assert all(value.isfinite() for value in losses.values())
    shown = config.replace(evaluation={"min_score": 0.0, "nms_iou": 1.0})
    found = StreamSession(step.model, shown).step(logs[0][0]).detections
    assert len(found) > 0
    assert set(found.class_name) <= {"car", "barrier"}
    metrics = evaluate_stream(step.model, shown, logs[:1], 2).detection
    assert list(metrics.classes) == ["car", "barrier"]
    assert list(metrics.groups) == ["MOD", "SOD"]
    assert type(metrics).model_validate_json(metrics.model_dump_json()) == metrics
    with pytest.raises(ValueError, match=r"detections are of the classes car, barrier, and label"):
        evaluate_stream(step.model, shown, [StubLog(0)], 1)


@pytest.mark.skipif(not REAL.is_dir(), reason="real data is absent: ../shared/data/nuscenes")
def test_the_loss_falls_on_the_real_keyframe_in_ten_classes():
    (log,) = open_logs(f"nuscenes:{REAL}", image_size_px=SIZE_PX, vocabulary=NUSCENES)
    streaming = {"clip_frames": 1, "frames_without_gradient": 0, "frames_with_gradient": 1}
    config = config_with(
        "nuscenes", streaming=streaming, optimizer={"learning_rate": 2e-2, "warmup_steps": 1}
    )
    frame = prepare(log[0], SIZE_PX)
    assert len(set(frame.labels.class_id.tolist())) >= 3
    step = step_of(config)
    totals = []
    for _ in range(9):
        step.losses.forget()
        step.losses.memory = step.model.initial_state(1)
        step.add([collate([frame], [True])])
        totals.append(float(step.report.losses["total"]))
    assert sum(totals[-3:]) / 3 < 0.88 * totals[0]


def test_an_exported_data_set_trains_and_its_submission_is_whole(tmp_path):
    root = tmp_path / "nuscenes"
    drives = open_logs(
        "synthetic:seed=3,frames=2,rate_hz=2,rig=six,place=street,beams=8", image_size_px=SIZE_PX
    )
    export_nuscenes(drives, root)
    logs = open_logs(f"nuscenes:{root}", image_size_px=SIZE_PX, vocabulary=NUSCENES)
    config = config_with("nuscenes", streaming={"clip_frames": 2, "frames_without_gradient": 0})
    step = step_of(config)
    step.add(StreamingDataset(logs, config).window(0))
    assert step.report.losses["total"].isfinite()
    assert step.progress.skipped == 0
    shown = config.replace(evaluation={"min_score": 0.0}, tracking={"birth_score": 0.0})
    session = StreamSession(step.model, shown)
    found = [session.step(logs[0][i]).detections for i in range(len(logs[0]))]
    for path in write_submission("nuscenes", found, logs, tmp_path):
        results = json.loads(path.read_text())["results"]
        assert list(results) == logs[0].sample_tokens
        rows = [row for of_sample in results.values() for row in of_sample]
        assert rows
        if "tracking" in path.name:
            assert {row["tracking_name"] for row in rows} <= set(TRACKING_NAMES)
        else:
            assert {row["detection_name"] for row in rows} <= set(NUSCENES.names)
            assert {row["attribute_name"] for row in rows} <= ATTRIBUTES


def test_a_network_of_other_classes_is_refused_by_name(tmp_path):
    other = config_with(TWO)
    save_checkpoint(tmp_path / "two.ckpt", build_model(other), other)
    assert read_checkpoint(tmp_path / "two.ckpt").config.vocabulary == other.vocabulary
    config = training_config()
    words = r"two\.ckpt: made for the classes car, barrier, and small has car, truck, bus.*; set"
    with pytest.raises(ValueError, match=words):
        initialise_from(tmp_path / "two.ckpt", build_model(config), config)
    with pytest.raises(ValueError, match=words):
        open_inputs(config, tmp_path / "two.ckpt", "synthetic:frames=1", None)


def test_a_training_goes_on_in_the_classes_it_began_with(tmp_path):
    config = config_with(TWO)
    save_training(tmp_path / "last.ckpt", step_of(config))
    read_training(tmp_path / "last.ckpt", config, Ranks())
    turned = {**TWO, "classes": {"barrier": "SOD", "car": "MOD"}}
    with pytest.raises(ValueError, match=r"last\.ckpt: made for the classes car, barrier, and"):
        read_training(tmp_path / "last.ckpt", config_with(turned), Ranks())
    moving = {**TWO, "still": []}
    with pytest.raises(ValueError, match=r"vocabulary\.still was \['barrier'\] and is \[\] now"):
        read_training(tmp_path / "last.ckpt", config_with(moving), Ranks())


def test_a_checkpoint_without_the_variable_means_the_default(tmp_path):
    config = training_config()
    step = step_of(config)
    save_training(tmp_path / "last.ckpt", step)
    checkpoint = read_checkpoint(tmp_path / "last.ckpt")
    old = {k: v for k, v in checkpoint.content.items() if k != "class_names"}
    old["config"] = {k: v for k, v in old["config"].items() if k != "vocabulary"}
    checkpoint = replace(checkpoint, content=old)
    assert checkpoint.config == config
    assert read_training(checkpoint, config, Ranks())["training"]
