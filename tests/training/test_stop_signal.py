"""SIGTERM ends a training soon: between two steps, in a validation, or in the middle of a step that
takes too long."""

from __future__ import annotations

import io
import os
import signal
import time
from pathlib import Path

import pytest
import torch

from leapai.checkpoints import read_checkpoint
from leapai.config.options import TrainingOptions
from leapai.training import training_data, validating
from leapai.training.stop_signal import StoppedError, StopSignal
from leapai.training.train import run_training
from tests.training.runs import in_processes, stub_logs, training_config

STOPPED = 128 + signal.SIGTERM


def stopped_in_validation(output: Path) -> None:
    """A training whose first validation would take a minute; SIGTERM comes in the middle of it."""
    torch.set_num_threads(1)
    training_data.open_cached_logs = stub_logs

    def endless(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    validating.Validator.validate = endless
    training = {"workers": 0, "validate_every": 2, "checkpoint_every": 100}
    config = training_config(training=training, finetune_steps=4, max_steps=4)
    run_training(config, TrainingOptions(output))


def test_a_validation_is_ended_where_it_is_and_nothing_is_lost(tmp_path):
    start = time.monotonic()
    assert in_processes(stopped_in_validation, [(tmp_path,)]) == [STOPPED]
    assert time.monotonic() - start < 10
    assert read_checkpoint(tmp_path / "last.ckpt").content["training"]["step"] == 2
    assert not list(tmp_path.glob("*.tmp*"))


def stuck(patience_s: float) -> None:
    """A step that does not end."""
    with StopSignal(patience_s):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)


def test_a_step_that_does_not_end_is_not_waited_for():
    assert in_processes(stuck, [(0.1,)]) == [STOPPED]


def test_a_signal_that_came_before_ends_the_block_before_its_first_line():
    with StopSignal() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(StoppedError), stop.at_once():
            pytest.fail("the block began")
    assert stop.received == signal.SIGTERM


def test_the_block_is_ended_though_what_runs_in_it_makes_errors_of_its_own_of_all_others():
    def as_a_compiler_does() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
        except Exception as error:
            raise RuntimeError("compilation failed") from error

    with StopSignal() as stop, pytest.raises(StoppedError), stop.at_once():
        as_a_compiler_does()
    assert stop.received == signal.SIGTERM


def test_outside_of_such_a_block_a_signal_is_noted_and_work_goes_on():
    with StopSignal() as stop:
        with stop.at_once():
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.received == signal.SIGTERM


def test_a_run_whose_stderr_is_gone_ends_after_sigterm(monkeypatch):
    statuses = []
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr("sys.stderr", closed)
    monkeypatch.setattr("os._exit", statuses.append)
    with pytest.raises(ValueError, match="closed file"):
        StopSignal()._give_up()
    assert statuses == [143]
