"""`leapai bench`: the stages of a frame are measured, and add up to it."""

from __future__ import annotations

import time

import pytest

from leapai import cli
from leapai.config import explain
from leapai.report.terminal_benchmark import benchmark_summary
from leapai.runs import run_inputs
from leapai.runs.profiler import AFTER, BEFORE, GRAPH_STAGES, NETWORK, STAGES
from leapai.runs.stage_benchmark import OTHER, READING, measure_stages
from leapai.streaming import session
from tests.runtime.exported import write_export
from tests.scenes import joint_config
from tests.training.runs import StubLog


@pytest.fixture
def inputs(monkeypatch):
    monkeypatch.setattr(run_inputs, "open_logs", lambda *_, **__: [StubLog(0, 3), StubLog(1, 3)])
    return run_inputs.open_inputs(joint_config(), None, "stub", None)


def test_every_stage_is_there_in_order_and_all_add_up_to_the_frame(inputs):
    measured = measure_stages(inputs, frames=4, warm_up=1)
    assert list(measured.costs) == [READING, BEFORE, *STAGES.values(), OTHER, AFTER]
    assert measured.frames == 4
    assert measured.rate_hz == pytest.approx(10)
    stages = sum(cost.seconds for name, cost in measured.costs.items() if name != READING)
    assert stages == pytest.approx(sum(measured.frame_seconds), rel=0.1)
    assert "the data has 10" in benchmark_summary(measured)


def test_a_slow_stage_is_seen_where_it_is(inputs, monkeypatch):
    track = session.track
    monkeypatch.setattr(session, "track", lambda *a: (time.sleep(0.1), track(*a))[1])
    measured = measure_stages(inputs, frames=2, warm_up=1)
    assert 0.2 < measured.costs[AFTER].seconds < 0.4


def test_data_that_warm_up_uses_up_is_refused(inputs):
    with pytest.raises(ValueError, match="has 6 frames, and 6 are for warm-up"):
        measure_stages(inputs, frames=2, warm_up=6)
    assert measure_stages(inputs, frames=20, warm_up=1).frames == 5


def test_the_command_prints_machine_and_stages(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run_inputs, "open_logs", lambda *_, **__: [StubLog(0, 3)])
    path = tmp_path / "small.py"
    path.write_text(explain(joint_config()))
    options = ["--frames", "2", "--warm-up", "1", "--data", "synthetic"]
    assert cli.main(["bench", str(path), *options]) == 0
    written = capsys.readouterr().out
    for words in ("random", "threads on", "2 frames after 1", "view transfer", "frames a second"):
        assert words in written


def test_an_exported_network_is_one_stage_between_those_of_the_host(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run_inputs, "open_logs", lambda *_, **__: [StubLog(0, 4)])
    network = run_inputs.read_network(write_export(tmp_path, joint_config()))
    inputs = run_inputs.open_inputs(network.config, network, "stub", None)
    graph = network.graph
    network.graph = lambda values: (time.sleep(0.1), graph(values))[1]
    slow = network.graph
    measured = measure_stages(inputs, frames=2, warm_up=1)
    assert list(measured.costs) == [READING, BEFORE, NETWORK, AFTER]
    assert 0.2 < measured.costs[NETWORK].seconds < sum(measured.frame_seconds)
    assert network.graph is slow, "the measurement has put itself away"
    options = ["--frames", "2", "--warm-up", "1", "--data", "synthetic", "--threads", "1"]
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert cli.main(["bench", "--ckpt", str(tmp_path / "exported"), *options]) == 0
    written = capsys.readouterr().out
    for words in ("1 threads on", "2 frames after 1", "network", "frames a second"):
        assert words in written


def test_each_graph_of_an_exported_network_in_parts_is_a_stage(tmp_path, monkeypatch):
    monkeypatch.setattr(run_inputs, "open_logs", lambda *_, **__: [StubLog(0, 4)])
    network = run_inputs.read_network(write_export(tmp_path, joint_config(), division="parts"))
    inputs = run_inputs.open_inputs(network.config, network, "stub", None)
    static, before = network.graphs["static"], dict(network.graphs)
    before["static"] = network.graphs["static"] = lambda values: (time.sleep(0.1), static(values))[
        1
    ]
    measured = measure_stages(inputs, frames=2, warm_up=1)
    parts = [GRAPH_STAGES[name] for name in ("trunk", "dynamic", "static")]
    assert list(measured.costs) == [READING, BEFORE, *parts, OTHER, AFTER]
    assert 0.2 < measured.costs["static graph"].seconds < sum(measured.frame_seconds)
    assert measured.costs["dynamic graph"].seconds < 0.1
    assert network.graphs == before, "the measurement has put itself away"


def test_a_missing_checkpoint_is_named(capsys):
    assert cli.main(["bench", "--ckpt", "nowhere.ckpt"]) == 2
    assert "nowhere.ckpt: there is no such file" in capsys.readouterr().err
