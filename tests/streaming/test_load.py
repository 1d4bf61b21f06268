"""`leapai.load`: what a user's own program holds."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

import leapai
from leapai.checkpoints import read_checkpoint, save_checkpoint
from leapai.types import Detections
from leapai.weights import shipped_checkpoint
from tests.scenes import make_frame, seeded_model, small_config, static_config

CONFIG = small_config(evaluation={"min_score": 0.0}, tracking={"birth_score": 0.0})


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("load") / "small.ckpt"
    save_checkpoint(path, seeded_model(CONFIG), CONFIG)
    return path


def test_a_checkpoint_becomes_a_stream_of_detections(checkpoint):
    stream = leapai.load(checkpoint, device="cpu")
    for i in range(3):
        detections = stream.step(make_frame(i))
    assert isinstance(detections, Detections)
    assert len(detections) > 0
    assert detections.timestamp_us == make_frame(2).timestamp_us
    assert detections.config == CONFIG


def test_it_and_what_it_gives_print_as_a_line(checkpoint):
    stream = leapai.load(checkpoint, device="cpu")
    assert repr(stream) == "Stream(small, dynamic, cpu; no frame yet)"
    frame = replace(make_frame(0), points=None)
    detections = stream.step(frame)
    line = repr(detections)
    assert line.startswith(f"StreamedDetections(drive at 1000000 us: {len(detections)} objects: ")
    assert line.endswith("; not ok: lidar missing; 0 memory slots)")
    assert repr(stream).endswith(f"last: {stream.last.detections!r})")
    for text in (line, repr(stream), repr(stream.last)):
        assert "\n" not in text
        assert len(text) < 500


def test_without_a_checkpoint_it_is_the_one_that_ships():
    stream = leapai.load()
    assert stream.session.config.job_name == "tiny_step2_dynamic_with_map"
    theirs = read_checkpoint(shipped_checkpoint()).state_dict["fuser.missing"]
    weights = dict(stream.session.model.named_parameters())["fuser.missing"]
    torch.testing.assert_close(weights.detach().cpu(), theirs.float())


def test_its_memory_can_be_looked_at_saved_and_set_back(checkpoint):
    stream = leapai.load(str(checkpoint), device="cpu")
    assert stream.last is stream.map is None
    for i in range(3):
        stream.step(make_frame(i))
    saved = stream.state
    assert saved.memory is stream.last.state
    assert saved.memory.valid.any()
    expected = stream.step(make_frame(3))
    assert stream.last.memory.valid.any()
    assert stream.map is None  # this network has no static task
    stream.state = saved
    again = stream.step(make_frame(3))
    np.testing.assert_array_equal(expected.boxes, again.boxes)
    fresh = leapai.load(checkpoint, device="cpu").step(make_frame(3))
    assert not np.array_equal(expected.boxes, fresh.boxes)


@pytest.mark.parametrize(
    ("name", "message"), [("nowhere.ckpt", "there is no such file"), ("", "is a folder")]
)
def test_what_is_no_checkpoint_is_refused(tmp_path, name, message):
    with pytest.raises(ValueError, match=message):
        leapai.load(tmp_path / name)


def test_a_network_of_the_road_alone_detects_nothing_and_tells_the_road(tmp_path):
    config, path = static_config(), tmp_path / "static.ckpt"
    save_checkpoint(path, seeded_model(config), config)
    stream = leapai.load(path, device="cpu")
    detections = stream.step(make_frame(0))
    assert len(detections) == 0
    assert stream.map.probability.shape == (14, config.static.region().rows, 104)
    assert ((stream.map.probability >= 0) & (stream.map.probability <= 1)).all()
    assert stream.map is stream.map  # it is made once
    shown = detections.config.draw_static_cfg
    sure = (stream.map.probability >= shown.static_conf).any()
    assert sure == (detections.plot(bev_map=stream.map) != detections.plot()).any()
    assert (detections.memory, detections.health.newest_age_s) == (None, None)
    assert detections.plot().ndim == 3


def test_a_frame_of_cameras_that_do_not_fit_is_refused(checkpoint):
    stream = leapai.load(checkpoint, device="cpu")
    config = stream.session.config
    groups = config.camera.model_copy(update={"groups": {"roof": "side"}})
    stream.session.config = config.model_copy(update={"camera": groups})
    with pytest.raises(ValueError, match="names 'roof', which drive does not have"):
        stream.step(make_frame(0))


def test_a_stream_serves_one_thread_at_a_time(checkpoint, monkeypatch):
    stream = leapai.load(checkpoint, device="cpu")
    inside, leave = threading.Event(), threading.Event()
    step = stream.session.step

    def slow(frame):
        inside.set()
        assert leave.wait(10)
        return step(frame)

    monkeypatch.setattr(stream.session, "step", slow)
    first = threading.Thread(target=stream.step, args=(make_frame(0),))
    first.start()
    assert inside.wait(10)
    with pytest.raises(RuntimeError, match=r"drive at 1100000 us: another thread is stepping"):
        stream.step(make_frame(1))
    leave.set()
    first.join()
    assert stream.step(make_frame(1)).timestamp_us == 1_100_000


def test_a_refused_frame_does_not_lock_the_stream(checkpoint):
    stream = leapai.load(checkpoint, device="cpu")
    with pytest.raises(ValueError, match="a frame is a leapai"):
        stream.step(None)
    assert stream.step(make_frame(0)).health.failing == {}
