"""Without extras the network runs; what needs an extra names it."""

import io
import subprocess
import sys

import pytest
from rich.console import Console

from leapai import cli
from leapai.config.options import ValidationOptions
from leapai.extras import MissingExtraError, import_extra, is_installed
from leapai.folders import MARK
from leapai.pictures.video import VideoWriter
from leapai.runs import run_inputs
from leapai.runs.recordings import recorder
from leapai.validation import run_validation
from tests.made_up_runs import made_up_run, write
from tests.scenes import small_config
from tests.test_validation import MadeUpLog

OPTIONAL = (
    *("jinja2", "av", "tensorboard", "embreex", "rerun", "pandas", "wandb", "mlflow"),
    *("mcap", "mcap_protobuf", "foxglove_schemas_protobuf", "rosbags"),
    *("msgpack", "laspy"),
)
ON_A_VEHICLE = f"""
import sys
from importlib.machinery import PathFinder
class FindsNoExtras(PathFinder):
    @classmethod
    def find_spec(cls, name, *rest):
        return None if name.split(".")[0] in {OPTIONAL} else super().find_spec(name, *rest)
sys.meta_path[sys.meta_path.index(PathFinder)] = FindsNoExtras
import leapai
from tests.scenes import make_frame
detections = leapai.load(device="cpu").step(make_frame(0))
image = detections.plot()
print(detections.to_table().num_rows == len(detections), image.ndim)
print(set({OPTIONAL}) & set(sys.modules))
"""


def absent(monkeypatch, *modules):
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)


def validated(output, monkeypatch, **options):
    monkeypatch.setattr(run_inputs, "open_logs", lambda data, **_: [MadeUpLog("one")])
    console = Console(record=True, width=200, file=io.StringIO())
    options = ValidationOptions(output=output, data="made up", random_weights=True, **options)
    run_validation(small_config(eval_with_visualize=True), options, console)
    return console.export_text()


@pytest.mark.processes
def test_the_network_that_ships_runs_a_frame_without_any_extra():
    ran = subprocess.run(
        [sys.executable, "-c", ON_A_VEHICLE], capture_output=True, text=True, check=False
    )
    assert ran.stdout == "True 3\nset()\n", ran.stderr


def test_a_run_without_the_extra_of_reports_says_at_its_start_what_it_leaves_out(
    tmp_path, monkeypatch
):
    absent(monkeypatch, "av", "jinja2")
    (tmp_path / MARK).touch()
    (tmp_path / "one.mp4").write_bytes(b"of an earlier run")
    printed = validated(tmp_path, monkeypatch)
    before, _, after = printed.partition("whole step")
    for sentence in (
        "There will be pictures, but no video. A video needs av, which is not installed: "
        "pip install 'leapai[report]'",
        "There will be no report.html. A report needs jinja2, which is not installed: "
        "pip install 'leapai[report]'",
    ):
        assert sentence in before
    assert "metrics.json" in after
    assert "report.html" not in after
    assert (tmp_path / "pictures/one/000000.png").is_file()
    written = {path.name for path in tmp_path.iterdir()}
    assert {"run.json", "detections.parquet"} <= written
    assert not {"one.mp4", "report.html"} & written


def test_with_all_extras_nothing_is_said_of_them(tmp_path, monkeypatch):
    printed = validated(tmp_path, monkeypatch)
    assert "pip install" not in printed
    assert (tmp_path / "one.mp4").is_file()
    assert (tmp_path / "report.html").is_file()


def test_a_recording_is_refused_before_the_run_begins(tmp_path, monkeypatch):
    absent(monkeypatch, "rerun")
    with pytest.raises(MissingExtraError, match=r"rerun-sdk.*pip install 'leapai\[viewer\]'"):
        validated(tmp_path / "run", monkeypatch, viewer=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("error", [ValueError, ImportError])
def test_what_is_asked_for_alone_names_its_extra(tmp_path, monkeypatch, error):
    absent(monkeypatch, "av", "rerun")
    with pytest.raises(error, match=r"a video needs av.*pip install 'leapai\[report\]'"):
        VideoWriter(tmp_path / "a.mp4", 4.0)
    with pytest.raises(error, match=r"rerun-sdk.*pip install 'leapai\[viewer\]'"):
        recorder(["rerun"], 0.3)
    assert not list(tmp_path.iterdir())


def test_the_command_for_a_report_names_its_extra_in_one_line(tmp_path, monkeypatch, capsys):
    absent(monkeypatch, "jinja2")
    assert cli.main(["report", str(write(tmp_path / "run", made_up_run()))]) == 2
    assert capsys.readouterr().err == (
        "error: a report needs jinja2, which is not installed: pip install 'leapai[report]'\n"
    )


def test_a_fault_inside_of_an_extra_is_not_taken_for_a_missing_one(tmp_path, monkeypatch):
    (tmp_path / "fragile.py").write_text("import absent_itself")
    monkeypatch.syspath_prepend(tmp_path)
    assert is_installed("fragile")
    with pytest.raises(ModuleNotFoundError, match="absent_itself") as error:
        import_extra("fragile", "report", "a test needs fragile")
    assert not isinstance(error.value, MissingExtraError)
