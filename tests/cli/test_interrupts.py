"""Ctrl-C: one line on what was kept, and exit status 130."""

from __future__ import annotations

import shlex
import sys

import pytest

from leapai import cli
from leapai.cli import train_commands
from leapai.cli.train_commands import resume_command
from leapai.config import CONFIG_VARIABLE, explain
from tests.scenes import small_config


@pytest.fixture
def small(tmp_path, monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    path = tmp_path / "small.py"
    path.write_text(explain(small_config()))
    return str(path)


def interrupted(*arguments, capsys) -> str:
    assert cli.main(arguments) == 130
    written = capsys.readouterr().err.strip()
    assert written.count("\n") == 0
    return written


def stop(*_, **__):
    raise KeyboardInterrupt


def test_val_names_what_was_streamed(small, tmp_path, monkeypatch, capsys):
    output = tmp_path / "run"

    def write_and_stop(config, options, **_):
        (options.output / "pictures").mkdir(parents=True)
        stop()

    given = ["val", small, "--random-weights", "--data", "synthetic", "--output", str(output)]
    monkeypatch.setattr("leapai.validation.run_validation", stop)
    assert interrupted(*given, capsys=capsys) == "stopped before anything was written"
    monkeypatch.setattr("leapai.validation.run_validation", write_and_stop)
    expected = f"stopped early; {output} keeps what was streamed before"
    assert interrupted(*given, capsys=capsys).startswith(expected)


def test_predict_says_what_it_wrote(tmp_path, monkeypatch, capsys):
    output = tmp_path / "run"
    monkeypatch.setattr("leapai.prediction.run_prediction", stop)
    given = ["predict", "synthetic", "--output", str(output)]
    assert interrupted(*given, capsys=capsys) == "stopped before anything was written"
    (output / "pictures").mkdir(parents=True)
    expected = f"stopped early; {output} keeps what was streamed before"
    assert interrupted(*given, capsys=capsys) == expected


def test_a_training_that_saved_nothing_says_so(small, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("leapai.training.train.run_training", stop)
    given = ["train", small, "--output", str(tmp_path / "run")]
    assert "no weights were kept" in interrupted(*given, capsys=capsys)


def test_a_training_that_saved_says_where_and_how_to_go_on(small, tmp_path, monkeypatch, capsys):
    output = tmp_path / "run"

    def save_and_stop(config, options):
        output.mkdir()
        (output / "last.ckpt").touch()
        stop()

    monkeypatch.setattr("leapai.training.train.run_training", save_and_stop)
    monkeypatch.setattr(train_commands.shutil, "which", lambda _: "/bin/leapai")
    given = ["train", small, "--output", str(output), "--set", "topk_query=22"]
    assert interrupted(*given, capsys=capsys).endswith(
        f"{output / 'last.ckpt'} keeps the training as it was last saved; "
        f"go on with: leapai {shlex.join(given)} --resume auto"
    )


def test_other_processes_of_a_launch_are_silent(small, monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr("leapai.config.load.explain", stop)
    assert cli.main(["config", small]) == 130
    assert capsys.readouterr().err == ""


def test_the_command_that_goes_on_is_complete(monkeypatch):
    given = ["train", "tiny_step1", "--resume", "old/last.ckpt", "--data", "a b@2", "--resume=x"]
    monkeypatch.setattr(train_commands.shutil, "which", lambda _: "/bin/leapai")
    assert resume_command(given, {}) == "leapai train tiny_step1 --data 'a b@2' --resume auto"
    monkeypatch.setattr(train_commands.shutil, "which", lambda _: None)
    expected = f"{CONFIG_VARIABLE}='a c.py' {sys.executable} -m leapai train --resume auto"
    assert resume_command(["train"], {CONFIG_VARIABLE: "a c.py"}) == expected


def test_the_command_of_a_launch_is_that_of_torchrun(monkeypatch):
    launch = ["tools/main.py", "--config", "projects/perception/entry.py", "--state", "train"]
    monkeypatch.setattr(sys, "argv", launch)
    environment = {
        "TORCHELASTIC_RUN_ID": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_PORT": "21212",
        CONFIG_VARIABLE: "c.py",
    }  # fmt: skip
    torchrun = f"{CONFIG_VARIABLE}=c.py torchrun --nproc_per_node=2"
    end = f"--master_port=21212 {shlex.join(launch)} --resume auto"
    assert resume_command(["train"], environment) == f"{torchrun} {end}"
    nodes = {"GROUP_WORLD_SIZE": "3", "GROUP_RANK": "1", "MASTER_ADDR": "host"}
    assert resume_command(["train"], {**environment, **nodes}) == (
        f"{torchrun} --nnodes=3 --node_rank=1 --master_addr=host {end}"
    )
