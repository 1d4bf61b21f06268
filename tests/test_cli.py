"""The command, the launcher and the entry: what a user sees, above all when something is wrong."""

from __future__ import annotations

import json
import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from leapai import cli
from leapai.config import CONFIG_VARIABLE, explain, load_config
from leapai.weights import shipped_checkpoint
from leapai_world.sequence import WORLD_VERSION
from tests.scenes import small_config

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / "projects" / "perception" / "configs"
ENTRY = ROOT / "projects" / "perception" / "entry.py"
SHARED = ROOT.parent / "shared" / "data"
TINY = str(CONFIGS / "tiny_step2_dynamic.py")
STATIC = str(CONFIGS / "tiny_step2_static.py")
SMALL_DRIVE = "synthetic:seed=3,frames=2,beams=4"

needs_nuscenes = pytest.mark.skipif(
    not (SHARED / "nuscenes").is_dir(), reason="real data is absent: ../shared/data/nuscenes"
)


@pytest.fixture(autouse=True)
def _no_configuration_in_the_environment(monkeypatch):
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)


@pytest.fixture
def small(tmp_path):
    """A configuration file of the smallest network, with pictures."""
    path = tmp_path / "small.py"
    path.write_text(explain(small_config(eval_with_visualize=True)))
    return str(path)


@pytest.fixture
def fails(capsys):
    """Runs a command that must end with status 2 and one line on stderr; returns the line."""

    def run(*arguments: str, command=cli.main) -> str:
        try:
            status = command(arguments)
        except SystemExit as end:
            status = end.code
        said = capsys.readouterr()
        assert status == 2
        assert said.err.startswith("error: ")
        assert said.err.count("\n") == 1
        return said.err

    return run


def test_only_working_commands_are_listed(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--help"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    for command in ("train", "val", "config", "merge", "inspect", "demo", "report", "runs", "info"):
        assert f"\n    {command} " in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["vall"], "invalid choice: 'vall'"),
        (["train"], "name a configuration: a file, or one of: argoverse2_small_step1, "),
        (["config", "--task-config", "nowhere.py"], "nowhere.py: there is no such file"),
        (["config", "tiny_step3"], "tiny_step3: there is no such file, and no configuration of"),
        (["config", "tiny_step1", "--task-config", TINY], "CONFIG is tiny_step1 and --task-config"),
        (["val", "--task-config", TINY], "--ckpt is missing"),
        (["val", "--task-config", TINY, "--ckpt", "nowhere.ckpt"], "nowhere.ckpt"),
        (["val", "--task-config", TINY, "--max-frames", "0"], "'0' must be a whole number, 1"),
        (["val", "--task-config", TINY, "--chkpt", "x"], "unrecognized arguments: --chkpt"),
        (["report", "nowhere"], "nowhere: there is no such folder"),
        (["report", "."], "run.json is missing: the run has not finished"),
        (["runs"], "outputs/runs.parquet: there is no table of runs"),
        (["runs", "1"], "takes no number, or the numbers of two runs"),
        (["runs", "1", "x"], "'x' must be a whole number"),
        (["inspect", "lyft:/data"], "there is no data set 'lyft'"),
        (["inspect", "nuscenes:/no/such/folder"], "/no/such/folder"),
        (["inspect", "synthetic:wheels=3"], "there is no option 'wheels'"),
        (["inspect", "synthetic", "--against", "synthetic"], "add --stats"),
    ],
)
def test_a_users_mistake_is_one_line_and_status_2(fails, arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert said in fails(*arguments)


def test_a_misspelt_variable_is_one_line_and_status_2(fails, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(Path(TINY).read_text().replace("job_name", "job_nam"))
    (tmp_path / "tiny_step1.py").write_text((CONFIGS / "tiny_step1.py").read_text())
    for base in CONFIGS.glob("lpperception*.py"):
        (tmp_path / base.name).write_text(base.read_text())
    said = fails("val", "--task-config", str(path), "--random-weights")
    assert f"{path}: job_nam = 'tiny_step2_dynamic': unknown name; did you mean job_name?" in said


def test_output_that_is_not_read_to_its_end_is_no_fault():
    command = f"{sys.executable} -m leapai config | true"
    shell = ["bash", "-c", f"set -o pipefail; {command}"]
    done = subprocess.run(shell, check=False, capture_output=True)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_traceback_is_shown_when_it_is_asked_for():
    with pytest.raises(ValueError, match="no such file"):
        cli.main(["config", "--task-config", "nowhere.py", "--traceback"])


def test_config_prints_a_configuration_that_can_be_loaded(capsys, tmp_path):
    assert cli.main(["config", "--task-config", STATIC]) == 0
    path = tmp_path / "printed.py"
    path.write_text(capsys.readouterr().out)
    assert load_config(path) == load_config(STATIC)


def test_config_takes_the_configuration_of_the_environment(capsys, monkeypatch):
    monkeypatch.setenv(CONFIG_VARIABLE, TINY)
    assert cli.main(["config"]) == 0
    assert "job_name = 'tiny_step2_dynamic'" in capsys.readouterr().out


def test_val_streams_and_writes_where_it_is_told(small, tmp_path, capsys):
    output = tmp_path / "run"
    options = ["--random-weights", "--data", SMALL_DRIVE, "--output", str(output)]
    assert cli.main(["val", "--task-config", small, *options, "--max-frames", "1"]) == 0
    assert pq.read_table(output / "detections.parquet").num_rows > 0
    run = json.loads((output / "run.json").read_text())
    assert run["frames"] == 1
    assert run["data_version"] == WORLD_VERSION
    assert len(list(output.rglob("*.png"))) == 1
    assert "random" in capsys.readouterr().out


def test_reports_and_the_table_of_runs_are_made_from_what_val_wrote(small, tmp_path, capsys, fails):
    options = ["--random-weights", "--data", SMALL_DRIVE, "--max-frames", "1"]
    one, other = tmp_path / "one", tmp_path / "other"
    for output in (one, other):
        assert cli.main(["val", "--task-config", small, *options, "--output", str(output)]) == 0
    first = (one / "report.html").read_text()
    (one / "report.html").unlink()
    capsys.readouterr()
    assert cli.main(["report", str(one)]) == 0
    assert capsys.readouterr().out == f"{one / 'report.html'}\n"
    assert (one / "report.html").read_text() == first
    assert cli.main(["report", str(one), str(other)]) == 0
    assert (one / "report_against_other.html").read_text().count(str(other)) >= 2
    assert cli.main(["runs", "--table", str(tmp_path / "runs.parquet")]) == 0
    assert capsys.readouterr().out.count("1+") == 2
    assert cli.main(["runs", "1", "2", "--table", str(tmp_path / "runs.parquet")]) == 0
    assert "difference" in capsys.readouterr().out
    said = (one / "detections.parquet").read_bytes()
    (one / "detections.parquet").write_bytes(said[: len(said) // 2])
    assert "detections.parquet: is not a whole Parquet file" in fails("report", str(one))


def test_a_checkpoint_without_a_configuration_beside_it_runs_as_it_says_itself(
    tmp_path, monkeypatch
):
    """The merged one runs both tasks, which no configuration file does."""
    monkeypatch.delenv("LEAPAI_TASK_CONFIG", raising=False)
    options = ["--data", SMALL_DRIVE, "--max-frames", "1", "--output", str(tmp_path / "run")]
    assert cli.main(["val", "--ckpt", str(shipped_checkpoint()), *options]) == 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["detection"]["frames"] == metrics["road"]["frames"] == 1


def test_val_without_anything_runs_the_network_that_ships(tmp_path, capsys):
    options = ["--data", SMALL_DRIVE, "--max-frames", "1", "--output", str(tmp_path / "run")]
    assert cli.main(["val", *options]) == 0
    first, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("Neither a configuration nor --ckpt is given: this runs the network ")
    assert first.endswith(shipped_checkpoint().name)
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["weights"] == str(shipped_checkpoint())


def test_a_run_of_the_network_that_ships_is_named_after_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEAPAI_TASK_CONFIG", raising=False)
    options = ["--data", SMALL_DRIVE, "--max-frames", "1", "--no-pictures"]
    assert cli.main(["val", "--ckpt", str(shipped_checkpoint()), *options]) == 0
    assert [run.name for run in (tmp_path / "outputs").iterdir() if run.is_dir()] == ["tiny"]


def test_what_predict_wrote_is_no_run_and_the_message_says_so(tmp_path, fails):
    (tmp_path / "prediction.json").touch()
    for command in ("report", "view"):
        assert "`leapai predict` wrote this, not `leapai val`" in fails(command, str(tmp_path))


@pytest.mark.parametrize("command", [["val"], ["demo"], ["predict", "synthetic"]])
def test_a_viewer_that_is_missing_is_reported_before_anything_is_read(
    command, fails, monkeypatch, tmp_path
):
    monkeypatch.setattr("leapai.extras.find_spec", lambda _: None)
    monkeypatch.setattr("leapai.checkpoints.read_checkpoint", lambda *_: pytest.fail("was read"))
    arguments = [*command, "--viewer", "--output", str(tmp_path / "run")]
    assert "pip install 'leapai[viewer]'" in fails(*arguments)


def test_a_configuration_goes_by_its_name(capsys):
    assert cli.main(["config", "tiny_step2_static"]) == 0
    by_name = capsys.readouterr().out
    assert cli.main(["config", "--task-config", STATIC]) == 0
    assert capsys.readouterr().out == by_name
    assert cli.main(["config"]) == 0
    assert "tiny_step2_static " in capsys.readouterr().out


def test_inspect_prints_metrics_and_writes_pictures(tmp_path, capsys):
    assert cli.main(["inspect", SMALL_DRIVE, "--output", str(tmp_path), "--pictures", "1"]) == 0
    assert "front_narrow" in capsys.readouterr().out
    names = {path.stem for path in tmp_path.rglob("*.png")}
    assert len(names) == 8  # the overview and seven cameras
    assert "overview" in names


def test_inspect_compares_the_statistics_of_two_data_sets(tmp_path, capsys):
    options = ["--stats", "--output", str(tmp_path), "--max-frames", "1"]
    assert cli.main(["inspect", SMALL_DRIVE, "--against", SMALL_DRIVE, *options]) == 0
    said = capsys.readouterr().out
    assert "objects a frame" in said
    assert "yes 100%" in said
    assert "NO" not in said
    assert (tmp_path / "statistics.html").is_file()
    assert cli.main(["inspect", SMALL_DRIVE, *options, "--json"]) == 0
    statistics = json.loads(capsys.readouterr().out)
    assert statistics["data"] == SMALL_DRIVE
    assert statistics["quantities"][0]["data"]["count"] == 2


@needs_nuscenes
def test_inspect_counts_the_points_of_the_real_keyframe_as_json(tmp_path, capsys):
    data = f"nuscenes:{SHARED / 'nuscenes'}"
    assert cli.main(["inspect", data, "--json", "--output", str(tmp_path)]) == 0
    counts = json.loads(capsys.readouterr().out)["point_counts"]
    assert counts == {"boxes": 69, "exact": 61, "within_2": 67}


def test_demo_streams_the_shipped_checkpoint(tmp_path, capsys):
    drive = "synthetic:seed=3,frames=3,beams=16"  # consistency needs more than one frame
    assert cli.main(["demo", "--data", drive, "--output", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[-1].endswith(str(tmp_path / "report.html"))
    said = said.replace("\n", "")
    for words in (shipped_checkpoint().name, "mAP", "AMOTA", "consistency", "IoU"):
        assert words in said
    assert list(tmp_path.rglob("*.png"))
    assert list(tmp_path.rglob("*.mp4"))


def entry(arguments):
    return runpy.run_path(str(ENTRY))["run"](arguments[0], list(arguments[1:]))


def test_an_unknown_state_lists_those_that_exist(fails):
    said = fails("validate", "--ckpt", "x", command=entry)
    assert "--state validate: there is no such state; use one of: train, val" in said


def test_the_entry_needs_the_configuration_in_the_environment(fails):
    assert CONFIG_VARIABLE in fails("val", "--random-weights", command=entry)


def test_the_entry_runs_what_the_command_runs(fails, monkeypatch):
    monkeypatch.setenv(CONFIG_VARIABLE, STATIC)
    through_entry = fails("val", command=entry)
    assert through_entry == fails("val", "--task-config", STATIC)
    assert "--ckpt is missing" in through_entry


def launch(arguments: list[str], tmp_path: Path, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_launcher_names_a_missing_entry(tmp_path):
    ended = launch([str(ROOT / "tools/main.py"), "--config", "no.py", "--state", "val"], tmp_path)
    assert ended.returncode == 2
    assert ended.stderr == "error: --config no.py: there is no such file; name the entry\n"


@pytest.mark.processes
def test_the_documented_torchrun_command_runs(tmp_path):
    output, plain = tmp_path / "run", tmp_path / "plain.py"
    plain.write_text(explain(small_config()))
    with socket.socket() as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    torchrun = ["-m", "torch.distributed.run", "--nproc_per_node=1", f"--master_port={port}"]
    launcher = [str(ROOT / "tools/main.py"), "--config", str(ENTRY), "--state", "val"]
    options = ["--random-weights", "--data", SMALL_DRIVE, "--output", str(output)]
    ended = launch([*torchrun, *launcher, *options], tmp_path, **{CONFIG_VARIABLE: str(plain)})
    assert ended.returncode == 0, ended.stderr
    assert json.loads((output / "run.json").read_text())["frames"] == 2
