"""Weights that are kept from time to time, and the best ones."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from leapai.checkpoints import load_checkpoint, read_checkpoint
from leapai.config.options import TrainingOptions
from leapai.models.build import build_model
from leapai.training import validating
from leapai.training.kept_checkpoints import BestCheckpoint, compared_metric, keep_weights
from leapai.training.train import run_training
from tests.training.runs import training_config


def stepped(number: int, **training):
    """What is left of a step: its number, its configuration, and weights that hold the number."""
    config = training_config(training={"workers": 0, **training})
    return SimpleNamespace(
        config=config,
        progress=SimpleNamespace(step=number),
        weights=lambda: {"w": torch.tensor([float(number)])},
    )


def kept_in(folder):
    return {p.name: float(read_checkpoint(p).state_dict["w"]) for p in sorted(folder.iterdir())}


def test_of_weights_from_time_to_time_the_newest_are_kept(tmp_path):
    (tmp_path / "step_of_mine.ckpt").write_text("not touched")
    for number in (900_000, 1_000_000, 1_100_000):
        keep_weights(tmp_path, stepped(number, keep_count=2))
    (tmp_path / "step_of_mine.ckpt").unlink()
    assert kept_in(tmp_path) == {"step_1000000.ckpt": 1e6, "step_1100000.ckpt": 1.1e6}


@pytest.mark.parametrize(
    ("metric", "values", "best"),
    [("mAP", (0.2, 0.5, 0.4, 0.5, 0.6), (1, 2, 5)), ("ATE", (0.9, 0.7, 0.8), (1, 2))],
)
def test_the_best_weights_by_a_metric_are_kept(tmp_path, metric, values, best):
    event = {"ATE": "position_error_m"}.get(metric, metric)
    keeper = BestCheckpoint(tmp_path, resumed=False)
    taken = [
        keeper.offer(stepped(number, best_metric=event), {event: value, "other": 1.0})
        for number, value in enumerate(values, 1)
    ]
    assert [number for number, is_best in enumerate(taken, 1) if is_best] == list(best)
    assert kept_in(tmp_path) == {"best.ckpt": best[-1]}
    assert read_checkpoint(tmp_path / "best.ckpt").metrics == {
        event: values[best[-1] - 1],
        "other": 1.0,
    }


def test_a_resumed_training_compares_with_the_file_and_a_new_one_does_not(tmp_path):
    step = stepped(1, best_metric="mAP")
    assert BestCheckpoint(tmp_path, resumed=False).offer(step, {"mAP": 0.5})
    assert not BestCheckpoint(tmp_path, resumed=True).offer(step, {"mAP": 0.4})
    assert BestCheckpoint(tmp_path, resumed=True).offer(step, {"mAP": 0.6})
    assert BestCheckpoint(tmp_path, resumed=False).offer(step, {"mAP": 0.1})
    (tmp_path / "best.ckpt").write_bytes(b"cut short")
    assert BestCheckpoint(tmp_path, resumed=True).offer(step, {"mAP": 0.0})


def test_without_a_name_or_a_measurement_nothing_is_kept(tmp_path):
    keeper = BestCheckpoint(tmp_path, resumed=False)
    assert not keeper.offer(stepped(1), {"mAP": 0.5})
    assert not keeper.offer(stepped(1, best_metric="NDS"), {"mAP": 0.5})
    assert list(tmp_path.iterdir()) == []
    assert compared_metric("") is None


def test_a_metric_that_there_is_not_is_refused_before_training(stubs, console, tmp_path):
    config = training_config(training={"workers": 0, "best_metric": "map"})
    with pytest.raises(ValueError, match=r"best_metric = 'map' is no metric .* NDS, .*mAP"):
        run_training(config, TrainingOptions(tmp_path / "out"), console)
    assert not (tmp_path / "out").exists()


def test_a_run_writes_both_and_they_load(stubs, console, tmp_path):
    values = iter((0.3, 0.2))
    stubs.undo()
    validated = []

    def validate_now(model, *_):
        validated.append({n: v.clone() for n, v in model.state_dict().items()})
        return {"mAP": next(values)}

    stubs.setattr(validating, "validate_now", validate_now)
    stubs.setattr(validating, "picture_of", lambda *_: None)
    from leapai.training import training_data
    from tests.training.runs import stub_logs

    stubs.setattr(training_data, "open_cached_logs", stub_logs)
    kept = {"keep_every": 1, "keep_count": 2, "validate_every": 2, "best_metric": "mAP"}
    kept["ema_decay"] = 0.5
    config = training_config(finetune_steps=3, max_steps=3, training={"workers": 0, **kept})
    run_training(config, TrainingOptions(tmp_path / "out"), console)
    found = {path.name for path in (tmp_path / "out").glob("*.ckpt")}
    assert found == {
        "last.ckpt", "before_last.ckpt", "model.ckpt", "best.ckpt",
        "step_000002.ckpt", "step_000003.ckpt",
    }  # fmt: skip
    assert "best mAP so far" in console.file.getvalue()
    model = build_model(config)
    load_checkpoint(tmp_path / "out" / "best.ckpt", model)
    for name, value in model.state_dict().items():
        assert torch.equal(validated[0][name], value), "averages are validated"
    second = read_checkpoint(tmp_path / "out" / "step_000002.ckpt").state_dict
    assert all(torch.equal(second[n], v) for n, v in model.state_dict().items())
