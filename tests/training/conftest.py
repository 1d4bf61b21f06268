"""Trainings of these tests read drives without a renderer."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from leapai.training import training_data, validating
from tests.training.runs import stub_logs


@pytest.fixture
def stubs(monkeypatch):
    """Stub drives, and no validation."""
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(training_data, "open_cached_logs", stub_logs)
    monkeypatch.setattr(validating.Validator, "validate", lambda *_: None)
    return monkeypatch


@pytest.fixture
def console():
    """What was printed is in `console.file.getvalue()`."""
    return Console(file=io.StringIO(), width=500)
