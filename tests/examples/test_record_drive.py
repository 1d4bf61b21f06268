"""What `examples/cpp/record_drive.py` writes is all that a host without Python needs."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.examples.recorded_drives import DRIVES, FRAMES, ONE_TASK, RECORDED, SOURCE, EventfulLog

pytest.importorskip("onnxruntime")

from tests.examples.recording_twin import RecordingTwin
from tests.runtime.exported import write_export


def agreement(exported, recorded, host=RecordingTwin):
    """Returns for each frame whether a host finds the objects and the map of the recording."""
    twin, result = host(exported / "step.onnx", recorded), []
    for folder, outputs in twin.frames():
        found = {"objects": twin.objects(outputs)}
        if "map_logits" in outputs:
            found["map_logits"] = outputs["map_logits"][0]
        expected = {path.stem: np.load(path) for path in (folder / "expected").iterdir()}
        assert found.keys() == expected.keys()
        result.append(all(is_near(found[name], expected[name]) for name in found))
    return result


def is_near(found, expected):
    return found.shape == expected.shape and np.allclose(found, expected, atol=1e-3)


def frames_of(recorded):
    return sorted(path for path in recorded.iterdir() if path.is_dir())


def test_a_host_that_has_only_the_recording_finds_the_same(exported, recorded):
    assert agreement(exported, recorded) == [True] * RECORDED


def test_a_network_with_less_is_recorded_too(one_task):
    assert agreement(*one_task) == [True] * RECORDED


class WithoutSlots(RecordingTwin):
    """A host that gives zeros as the memory of objects."""

    def step(self, *frame):
        self.memory = {name: np.zeros_like(array) for name, array in self.memory.items()}
        return super().step(*frame)


class WithoutRing(RecordingTwin):
    def keep(self, *features):
        pass


class KeepsAll(RecordingTwin):
    """A host that keeps the map features of every frame."""

    def keep(self, *features):
        self.ring = [*self.ring, features]


class KeepsRing(RecordingTwin):
    """A host whose ring goes on after a gap and into the next drive."""

    def motion(self, *frame):
        ring = self.ring
        motion = super().motion(*frame)
        self.ring = ring
        return motion


class StandsStill(RecordingTwin):
    def motion(self, *frame):
        return super().motion(*frame) | {"prev2curr": np.eye(4, dtype=np.float32)[None]}


class TurnsPoses(RecordingTwin):
    """A host that gives the past in the wrong direction."""

    def past(self, *frame):
        past = super().past(*frame)
        return past | {"past_from_now": np.linalg.inv(past["past_from_now"])}


@pytest.mark.parametrize(
    "host", [WithoutSlots, WithoutRing, KeepsAll, KeepsRing, StandsStill, TurnsPoses]
)
def test_a_host_that_carries_something_else_finds_something_else(exported, recorded, host):
    agrees = agreement(exported, recorded, host)
    assert agrees[0]  # nothing is carried into the first frame
    assert not all(agrees)


def test_overlapping_objects_were_removed(exported, recorded):
    twin = RecordingTwin(exported / "step.onnx", recorded)
    _, outputs = next(twin.frames())
    twin.settings["config.evaluation.nms_iou"] = ["1"]
    kept = np.load(frames_of(recorded)[0] / "expected" / "objects.npy")
    assert 0 < len(kept) < len(twin.objects(outputs))


def test_an_input_that_did_not_change_is_not_written_again(recorded):
    first, second, *_ = frames_of(recorded)
    written = [{path.stem for path in (place / "inputs").iterdir()} for place in (first, second)]
    assert {"images", "points", "cell_offsets"} < written[0]
    assert written[1] == {"images", "points", "point_pillar", "pillar_cell"}


def test_nothing_of_earlier_frames_is_recorded(exported, recorded):
    names = {path.stem for place in frames_of(recorded) for path in (place / "inputs").iterdir()}
    manifest = json.loads((exported / "manifest.json").read_text())
    inputs, outputs = ({t["name"] for t in manifest[side]} for side in ("inputs", "outputs"))
    assert names < inputs
    own = inputs - names
    motion = {"now_us", "reset", "has_pose", "prev2curr", "interval_s"}
    ring = {"past_bev", "past_from_now", "past_found"}
    assert own - {name.removeprefix("next_") for name in outputs} == motion | ring


def test_settings_are_those_of_the_manifest(exported, recorded):
    lines = (recorded / "settings.txt").read_text().splitlines()
    settings = {line.split()[0]: line.split()[1:] for line in lines}
    manifest = json.loads((exported / "manifest.json").read_text())
    assert settings["classes"] == manifest["classes"]
    for name, value in manifest["thresholds"].items():
        if name.startswith("evaluation."):
            assert [float(each) for each in settings[f"config.{name}"]] == [value]
    assert list(map(float, settings["config.static.past_s"])) == [0.2, 0.4]


def test_frames_are_named_in_their_order(recorded):
    lines = (recorded / "frames.txt").read_text().splitlines()
    assert [line.split()[0] for line in lines] == [place.name for place in frames_of(recorded)]
    sequences = [line.split(" ", 2)[2] for line in lines]
    assert sequences == sorted(sequences)
    assert len(set(sequences)) == DRIVES
    assert len(lines) == DRIVES * (FRAMES - 1)


def test_the_number_of_frames_is_a_setting(recorded):
    assert (recorded / "settings.txt").read_text().splitlines()[-1] == f"frames {RECORDED}"


def test_faults_are_one_line(record_drive, exported, tmp_path):
    for folder, source, output, message in (
        ("missing", SOURCE, "new", "missing is a folder without manifest.json"),
        (exported, SOURCE, ".", "exists; name a new folder"),
        (exported, f"{__name__}:open_nothing:x", "new", "has no frame that the network takes"),
        (exported, f"{__name__}:open_lines:x", "new", "takes a name of one line"),
    ):
        arguments = [str(tmp_path / folder), source, str(tmp_path / output)]
        with pytest.raises(SystemExit, match=f"^error: .*{message}"):
            record_drive.main(arguments)
        assert not (tmp_path / "new").exists()


def open_nothing(location, options):
    """A data source whose drive has no frame that a stream takes."""
    log = EventfulLog("empty")
    log.frames = []
    return [log]


def open_lines(location, options):
    """A data source whose drive has a name of two lines."""
    return [EventfulLog("one\ntwo")]


def test_parts_are_refused(record_drive, tmp_path):
    exported = write_export(tmp_path, ONE_TASK["map alone"], division="parts")
    with pytest.raises(ValueError, match=r"holds the graphs trunk, static, .* --graphs step"):
        record_drive.record(exported, SOURCE, tmp_path / "new")
    assert not (tmp_path / "new").exists()
