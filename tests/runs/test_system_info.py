"""`leapai info`: what it tells, also of a copy that lacks something."""

import hashlib
import importlib.metadata
import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import leapai
from leapai import cli, weights
from leapai.config import CONFIG_VARIABLE
from leapai.runs import system_info as system_info_module
from leapai.runs.system_info import git_commit, render_info, system_info
from leapai.weights import shipped_checkpoint


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_it_tells_what_a_bug_report_needs(monkeypatch):
    monkeypatch.setenv(CONFIG_VARIABLE, "my/config.py")
    reported = system_info()
    assert reported.package.version == leapai.__version__
    assert Path(leapai.__file__).parent == Path(reported.package.location)
    assert reported.torch.version == torch.__version__
    assert reported.machine.cpus >= reported.machine.usable_cpus >= 1
    assert reported.machine.memory_gb > 0.5
    assert reported.dependencies["numpy"] == importlib.metadata.version("numpy")
    assert reported.extras["dev"]["pytest"] == pytest.__version__
    assert (
        reported.checkpoint.sha256 == hashlib.sha256(shipped_checkpoint().read_bytes()).hexdigest()
    )
    said = render_info(reported)
    for words in (leapai.__version__, torch.__version__, "my/config.py", "tiny.ckpt, sha256 "):
        assert words in said
    assert max(map(len, said.splitlines()[:8])) < 200


def test_gpus_are_named(monkeypatch):
    monkeypatch.setattr(system_info_module, "_DRIVERS", ("/dev/null",))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    properties = SimpleNamespace(name="NVIDIA H100", total_memory=79e9)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    reported = system_info()
    assert reported.torch.gpus == ("NVIDIA H100, 79 GB",) * 2
    assert "NVIDIA H100, 79 GB; NVIDIA H100, 79 GB" in render_info(reported)


def test_what_is_not_there_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "files", lambda _: tmp_path)
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    extras = ["leapai[more]; extra == 'dev'", "x.y; extra == 'a-b'"]
    required = ["numpy>=1", "no-such-package", *extras]
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: required)
    reported = system_info()
    assert set(reported.dependencies) == {"numpy", "no-such-package"}
    assert reported.dependencies["no-such-package"] is None
    assert reported.extras == {"a-b": {"x.y": None}}
    said = render_info(reported)
    assert "no-such-package MISSING" in said
    assert "no trained weights" in said
    assert "not set" in said


def test_a_copy_that_is_not_installed_names_no_dependencies(monkeypatch):
    def not_found(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", not_found)
    reported = system_info()
    assert (reported.dependencies, reported.extras) == ({}, {})


def test_the_commit_is_that_of_the_repository_that_tracks_the_package(tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    assert git_commit(package) is None
    git(tmp_path, "init")
    assert git_commit(package) is None
    git(tmp_path, "commit", "--allow-empty", "-m", "somebody's own")
    assert git_commit(package) is None  # as a virtual environment inside a repository
    git(tmp_path, "add", "package")
    git(tmp_path, "commit", "-m", "ours")
    commit = git_commit(package)
    assert len(commit) == 40
    (package / "__init__.py").write_text("changed = True")
    assert git_commit(package) == f"{commit}, changed"


def test_a_machine_without_git_has_no_commit(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_commit(Path(leapai.__file__).parent) is None


def test_the_command_prints_lines_or_json(capsys):
    assert cli.main(["info"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("leapai ")
    assert "torch" in said
    assert cli.main(["info", "--json"]) == 0
    reported = json.loads(capsys.readouterr().out)
    assert reported["package"]["version"] == leapai.__version__
    assert reported["torch"]["version"] == torch.__version__
    assert set(reported["checkpoint"]) == {"path", "sha256"}
