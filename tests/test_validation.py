"""`--state val` from end to end on a made-up drive: files, contents, failures."""

import io
import json
from dataclasses import replace

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from rich.console import Console

from leapai.checkpoints import save_checkpoint
from leapai.config.options import ValidationOptions
from leapai.data.log import DrivingLog
from leapai.evaluation.run_metrics import RunMetrics
from leapai.runs import run_inputs
from leapai.runs.history import read_runs
from leapai.types import OCCLUSION_NAMES
from leapai.validation import run_validation
from tests.evaluation.made_up import gt
from tests.scenes import JOINT, ROAD_ALONE, ROAD_MAP, make_frame, seeded_model, small_config


class MadeUpLog(DrivingLog):
    """Three frames of `tests.scenes` as a drive."""

    def __init__(self, name, fail_at=None, without=()):
        self.name, self.fail_at, self.without = name, fail_at, without
        self.labels = self.map = None

    @property
    def timestamps_us(self):
        return np.array([make_frame(i).timestamp_us for i in range(3)])

    def __getitem__(self, index):
        if index == self.fail_at:
            raise ValueError("the disk is gone")
        frame = replace(make_frame(index, sequence=self.name), labels=self.labels)
        if index not in self.without:
            return frame
        return replace(frame, points=None, faults=(f"lidar: sweeps/{index}.bin: is truncated",))

    def vector_map(self):
        return self.map


@pytest.fixture
def drives(monkeypatch):
    logs = [MadeUpLog("one"), MadeUpLog("two")]
    monkeypatch.setattr(run_inputs, "open_logs", lambda data, **_: logs)
    return logs


def test_labels_are_asked_for_over_the_bev_range_of_the_run(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        run_inputs, "open_logs", lambda data, **options: asked.append(options) or [MadeUpLog("one")]
    )
    wide = {"x_range_m": (-51.2, 76.8), "y_range_m": (-51.2, 51.2)}
    run(tmp_path, pictures=False, changes={"bev": small_config().bev.model_dump() | wide})
    assert asked[0]["label_range_m"] == ((-51.2, 76.8), (-51.2, 51.2))


def run(output, **options):
    console = Console(record=True, width=200, file=io.StringIO())
    changes = options.pop("changes", {})
    config = small_config(eval_with_visualize=options.pop("pictures", True), **changes)
    defaults = {"random_weights": True, "data": "made up"}
    summary = run_validation(
        config, ValidationOptions(output=output, **(defaults | options)), console
    )
    return summary, console.export_text()


def columns(path):
    return pq.read_table(path / "detections.parquet").to_pydict()


def test_detections_have_every_field(tmp_path, drives):
    summary, said = run(tmp_path / "run")
    rows = columns(tmp_path / "run")
    assert summary.frames == 6
    assert len(rows["sequence"]) == summary.detections > 0
    assert set(rows["sequence"]) == {"one", "two"}
    assert set(rows["timestamp_us"]) <= {1_000_000, 1_100_000, 1_200_000}
    for name in ("x_m", "y_m", "z_m", "length_m", "yaw_rad", "vx_mps", "score"):
        assert np.isfinite(rows[name]).all(), name
    assert set(rows["class_id"]) <= set(range(8))
    assert rows["occlusion_name"] == [OCCLUSION_NAMES[i] for i in rows["occlusion_level"]]
    assert "The weights are random" in said


def test_the_version_of_the_data_is_named_where_it_has_one(tmp_path, drives):
    assert run(tmp_path / "a", pictures=False)[0].data_version is None
    for log in drives:
        log.version = "7"
    assert run(tmp_path / "b", pictures=False)[0].data_version == "7"


def test_no_track_id_is_shared_between_sequences(tmp_path, drives):
    run(tmp_path, pictures=False)
    rows = columns(tmp_path)
    ids = {"one": set(), "two": set()}
    for sequence, track_id in zip(rows["sequence"], rows["track_id"], strict=True):
        ids[sequence].add(track_id)
    assert ids["one"] - {-1}
    assert not ids["one"] & ids["two"] - {-1}


def test_pictures_and_video_show_the_same(tmp_path, drives):
    run(tmp_path)
    for drive in ("one", "two"):
        pictures = sorted((tmp_path / "pictures" / drive).iterdir())
        assert [p.name for p in pictures] == ["000000.png", "000001.png", "000002.png"]
        with av.open(str(tmp_path / f"{drive}.mp4")) as video:
            frames = [f.to_ndarray(format="rgb24") for f in video.decode(video=0)]
        assert len(frames) == 3
        stills = [np.asarray(Image.open(p).convert("RGB")).astype(int) for p in pictures]
        away = [np.abs(still - frames[1]).mean() for still in stills]
        assert np.argmin(away) == 1
        assert away[1] < 12  # the made-up images are noise, which no video codec keeps


def test_without_pictures_none_are_written(tmp_path, drives):
    run(tmp_path / "run", pictures=False)
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [
        ".leapai", "config.json", "detections.parquet", "frames.parquet", "metrics.json",
        "report.html", "run.json", "tracks.parquet", "truth.parquet",
    ]  # fmt: skip


def test_the_run_names_its_weights_stages_and_costs(tmp_path, drives):
    checkpoint = tmp_path / "small.ckpt"
    save_checkpoint(checkpoint, seeded_model(small_config()), small_config())
    _, said = run(tmp_path / "run", checkpoint=checkpoint, random_weights=False, pictures=False)
    reported = json.loads((tmp_path / "run/run.json").read_text())
    assert reported["weights"] == str(checkpoint)
    assert reported["frames_by_sequence"] == {"one": 3, "two": 3}
    for stage in ("backbones", "view transfer", "LiDAR pillars", "dynamic head", "whole step"):
        assert reported["stages"][stage]["seconds"] > 0, stage
        assert stage in said
    assert reported["stages"]["backbones"]["calls"] == 4 * 6
    assert (
        reported["stages"]["whole step"]["seconds"] > reported["stages"]["dynamic head"]["seconds"]
    )


def test_the_same_checkpoint_gives_the_same_detections(tmp_path, drives):
    checkpoint = tmp_path / "small.ckpt"
    save_checkpoint(checkpoint, seeded_model(small_config()), small_config())
    for name in ("a", "b"):
        run(tmp_path / name, checkpoint=checkpoint, random_weights=False, pictures=False)
    assert columns(tmp_path / "a") == columns(tmp_path / "b")


def test_failed_sensors_are_counted_and_the_first_fault_is_named(tmp_path, drives):
    drives[1].without = (1, 2)
    summary, said = run(tmp_path, pictures=False)
    assert summary.frames == 6
    assert summary.faults["lidar"].frames == 2
    assert "lidar failed in 2 of 6 frames, first: sweeps/1.bin: is truncated" in said


def test_max_frames_counts_in_each_drive(tmp_path, drives):
    summary, _ = run(tmp_path, max_frames=2, pictures=False)
    assert summary.frames_by_sequence == {"one": 2, "two": 2}


def test_a_run_that_breaks_leaves_no_half_file(tmp_path, drives):
    drives[1].fail_at = 1
    with pytest.raises(ValueError, match="the disk is gone"):
        run(tmp_path)
    left = sorted(p.name for p in tmp_path.iterdir())
    assert "detections.parquet" not in left
    assert "two.mp4" not in left
    assert not [name for name in left if "tmp" in name]


def test_no_checkpoint_and_no_word_of_it_is_refused(tmp_path, drives):
    with pytest.raises(ValueError, match=r"--ckpt is missing.*--random-weights"):
        run(tmp_path, random_weights=False)


def test_labelled_frames_are_judged_and_the_metrics_said_and_written(tmp_path, drives):
    drives[0].labels = gt([[10.0, 0.0], [20.0, 5.0]], class_id=[0, 3])
    summary, said = run(tmp_path, pictures=False)
    metrics = RunMetrics.model_validate_json((tmp_path / "metrics.json").read_text())
    assert summary.labelled_frames == metrics.detection.frames == metrics.tracking.frames == 3
    assert metrics.detection.truths == 6
    assert metrics.detection.detections > 0
    assert len(metrics.consistency.frames) == 6  # it needs no labels
    for words in ("mAP", "person", "HeavilyOccluded", "AMOTA", "consistency", "metrics.json"):
        assert words in said
    assert said.rstrip().endswith(str(tmp_path / "report.html"))


def test_without_labels_there_are_no_metrics_also_not_those_of_an_earlier_run(tmp_path, drives):
    drives[0].labels = gt([[10.0, 0.0]])
    run(tmp_path, pictures=False)
    drives[0].labels = None
    _, said = run(tmp_path, pictures=False)
    assert "No frame has labels" in said
    metrics = RunMetrics.model_validate_json((tmp_path / "metrics.json").read_text())
    assert metrics.detection is metrics.tracking is None
    assert not list(tmp_path.glob("worst/*"))


def test_every_labelled_object_gets_a_row_where_it_is_wanted(tmp_path, drives):
    drives[0].labels = gt([[10.0, 0.0], [20.0, 5.0]], class_id=[0, 3], track_id=[7, 8])
    run(tmp_path / "a", pictures=False, changes={"eval_instance": True})
    rows = pq.read_table(tmp_path / "a/instances.parquet").to_pydict()
    assert list(zip(rows["class_name"], rows["track_id"], strict=True)) == [
        ("car", 7),
        ("person", 8),
    ]
    assert rows["frames"] == [3, 3]
    run(tmp_path / "a", pictures=False)
    assert not (tmp_path / "a/instances.parquet").exists()  # it would be that of another run


def test_the_worst_frames_have_pictures_also_where_no_others_are_wanted(tmp_path, drives):
    near = gt([[3.0, 0.0]] * 2, class_id=[0, 3])
    drives[1].labels = near
    run(tmp_path, pictures=False)
    frames = pq.read_table(tmp_path / "frames.parquet").to_pylist()
    painted = [row for row in frames if row["picture"]]
    assert {row["sequence"] for row in painted} == {"two"}  # one second of the one labelled drive
    assert len(painted) == 1
    picture = Image.open(tmp_path / painted[0]["picture"])
    assert picture.width == 1280
    assert np.asarray(picture).std() > 20


def test_a_run_adds_a_line_to_the_table_beside_its_folder(tmp_path, drives):
    drives[0].labels = gt([[10.0, 0.0]])
    run(tmp_path / "a", pictures=False)
    run(tmp_path / "b", pictures=False, max_frames=2)
    first, second = read_runs(tmp_path / "runs.parquet")
    assert (first.output, second.output) == (str(tmp_path / "a"), str(tmp_path / "b"))
    assert (first.frames, first.max_frames, second.frames, second.max_frames) == (6, None, 4, 2)
    assert first.config_sha256 == second.config_sha256
    assert first.checkpoint_sha256 is None
    assert first.metrics["mean_ap"] is not None
    assert first.metrics["seconds_per_frame"] > 0


def test_a_broken_table_of_runs_is_told_and_kept_and_the_run_succeeds(tmp_path, drives):
    (tmp_path / "runs.parquet").write_bytes(b"PAR1 and then nothing")
    summary, said = run(tmp_path / "a", pictures=False)
    assert summary.frames == 6
    assert "This run is not in the table of runs" in said
    assert "is not a whole Parquet file" in said
    assert (tmp_path / "runs.parquet").read_bytes() == b"PAR1 and then nothing"


def test_what_is_odd_about_drives_and_labels_is_said(tmp_path, drives):
    drives[0].labels = replace(
        gt([[10.0, 0.0], [20.0, 0.0]]),
        velocity_valid=np.array([True, False]),
        occlusion_level=np.full(2, -1),
    )
    _, said = run(tmp_path, pictures=False, max_frames=1)
    for sentence in (
        "Only the first frame of each drive was streamed.",
        "1 of 2 frames have labels; the others are streamed and not evaluated.",
        "1 of 2 objects have no labelled velocity: they are left out of velocity errors.",
        "No object has a labelled occlusion: they are left out of metrics by occlusion.",
        "No object has a labelled track: they are left out of metrics of tracking.",
        "Drive two has no labels.",
        "Each of the drives one, two has one frame, in which no track has a past.",
    ):
        assert sentence in said


def test_drives_without_any_detection_are_judged_and_said(tmp_path, drives):
    drives[0].labels = gt([[10.0, 0.0]])
    silent = small_config().evaluation.model_copy(update={"min_score": 1.0})
    checkpoint = tmp_path / "small.ckpt"
    save_checkpoint(checkpoint, seeded_model(small_config()), small_config())
    options = {"checkpoint": checkpoint, "random_weights": False, "pictures": False}
    summary, said = run(tmp_path / "run", **options, changes={"evaluation": silent})
    assert summary.detections == 0
    assert "Each of the drives one, two has no detections." in said
    metrics = RunMetrics.model_validate_json((tmp_path / "run/metrics.json").read_text())
    assert metrics.detection.mean_ap == 0
    assert metrics.consistency.consistency is None


def test_a_run_that_breaks_is_no_finished_run(tmp_path, drives):
    run(tmp_path, pictures=False)
    drives[1].fail_at = 1
    with pytest.raises(ValueError, match="the disk is gone"):
        run(tmp_path, pictures=False)
    assert not (tmp_path / "run.json").exists()
    assert not (tmp_path / "report.html").exists()


def test_a_run_that_would_write_nothing_is_refused(tmp_path, drives):
    with pytest.raises(ValueError, match="use_dynamic_outputs = False"):
        run(tmp_path, changes={"use_dynamic_outputs": False})


def road_of(output):
    return RunMetrics.model_validate_json((output / "metrics.json").read_text()).road


def test_the_road_is_judged_said_and_written_beside_the_objects(tmp_path, drives):
    drives[0].map, drives[0].labels = ROAD_MAP, gt([[10.0, 0.0]])
    _, said = run(tmp_path / "run", pictures=False, changes=JOINT)
    road = road_of(tmp_path / "run")
    assert (road.frames, road.labelled_frames) == (6, 3)
    assert road.classes["Curb"].cells > 100
    for words in ("mAP", "map in 6 frames, 3 with ground truth", "SolidLine", "map evaluation"):
        assert words in said
    assert "3 of 6 frames have a map; in the others only the flicker of the predicted map" in said
    (line,) = read_runs(tmp_path / "runs.parquet")
    assert line.metrics["marking_iou"] == road.iou.lane_markings
    assert line.metrics["element_iou"] == road.iou.road_elements
    assert "Cells by class" in (tmp_path / "run/report.html").read_text()


def test_without_the_static_task_nothing_is_said_of_the_road(tmp_path, drives):
    drives[0].map = ROAD_MAP
    _, said = run(tmp_path, pictures=False)
    assert road_of(tmp_path) is None
    assert "road" not in said
    assert "Cells by class" not in (tmp_path / "report.html").read_text()


def test_drives_without_a_map_are_said(tmp_path, drives):
    _, said = run(tmp_path, pictures=False, changes=JOINT)
    assert "No drive has a map, so only the flicker of the predicted map is evaluated." in said
    assert road_of(tmp_path).labelled_frames == 0


def test_the_road_alone_is_judged_and_it_is_said_that_nothing_else_was_looked_for(tmp_path, drives):
    for drive in drives:
        drive.map, drive.labels = ROAD_MAP, gt([[10.0, 0.0]])
    summary, said = run(tmp_path, pictures=False, changes=ROAD_ALONE)
    assert summary.detections == 0
    assert road_of(tmp_path).labelled_frames == 6
    assert "dynamic_task is off, so there are no detections" in said
    for words in ("mAP", "AMOTA", "consistency", "0 detections", "have a map"):
        assert words not in said
    report = (tmp_path / "report.html").read_text()
    assert 'id="road"' in report
    for part in ("classes", "tracks", "drives", "worst"):
        assert f'id="{part}"' not in report


def test_pictures_show_the_road(tmp_path, drives):
    for name, conf in (("all", 0.0), ("none", 1.0)):
        shown = {**JOINT, "draw_static_cfg": {"static_conf": conf}}
        run(tmp_path / name, changes=shown, max_frames=1)
    pictures = [
        np.asarray(Image.open(tmp_path / name / "pictures/one/000000.png")).astype(int)
        for name in ("all", "none")
    ]
    changed = (pictures[0] != pictures[1]).any(-1)
    assert changed.mean() > 0.1


def test_the_memory_is_written_on_request_for_each_drive(tmp_path, drives):
    run(tmp_path, pictures=False, memory=True)
    for table in ("frames", "slots", "queries"):
        names = sorted(path.name for path in (tmp_path / "memory" / table).iterdir())
        assert names == ["one.parquet", "two.parquet"]
    frames = pq.read_table(tmp_path / "memory/frames")
    assert frames.num_rows == 6
    slots = pq.read_table(tmp_path / "memory/slots")
    assert slots.num_rows == sum(frames["slots"].to_pylist()) > 0


def test_a_network_without_queries_has_no_memory_to_write(tmp_path, drives):
    options = ValidationOptions(tmp_path, random_weights=True, memory=True)
    with pytest.raises(ValueError, match="--memory: dynamic_task is off"):
        run_validation(small_config(**ROAD_ALONE), options)
