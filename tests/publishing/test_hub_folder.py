"""The folder for a model hub: weights that load, a card that a hub reads, and digests."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace

import pytest
from huggingface_hub import ModelCard

from leapai import cli
from leapai.checkpoints import read_checkpoint, save_checkpoint, write_checkpoint
from leapai.config.hub_options import HubOptions
from leapai.evaluation.robustness import Scores
from leapai.evaluation.run_metrics import RunMetrics
from leapai.publishing.card_text import public_data
from leapai.publishing.hub_folder import write_hub_folder
from leapai.runs.stress_folder import begun_stress, keep_result, write_stress
from leapai.runs.stress_results import CLEAN, ConditionResult, StressSettings, StressSummary
from leapai.weights import shipped_checkpoint
from tests.made_up_runs import made_up_run, write
from tests.scenes import seeded_model, small_config

FILES = ["README.md", "SHA256SUMS", "config.json", "model.safetensors"]
WORLD = {"data": {"train": "synthetic:split=train", "val": "synthetic:split=val"}}
ELSEWHERE = {
    "data": {"train": "nuscenes:/home/anna/nu,split=train", "val": "nuscenes:/home/anna/nu"}
}
METRICS = {"mAP": 0.625, "velocity_error_mps": 0.5, "AP_car": 0.75, "AP_bus": 0.125}


def checkpoint_of(path, **changes):
    config = small_config(**(WORLD | changes))
    save_checkpoint(path, seeded_model(config), config, METRICS)
    return read_checkpoint(path)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return checkpoint_of(tmp_path_factory.mktemp("weights") / "model.ckpt")


def exported(checkpoint, folder, **options):
    write_hub_folder(checkpoint, folder, HubOptions(**{"license": "apache-2.0", **options}))
    return ModelCard.load(folder / "README.md")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def results_of(card):
    return {
        each.metric_type: (each.metric_value, each.dataset_name) for each in card.data.eval_results
    }


def scores(mean_ap, relative):
    empty = dict.fromkeys(Scores.__dataclass_fields__)
    given = {"mean_ap": mean_ap, "relative": relative, "frames": 4, "objects": 9, "boxes": 7}
    return Scores(**(empty | given | {"ap_by_class": {}}))


def stress_run(folder, sha256):
    """A stress run of two conditions and the clean one, written as `leapai stress` does."""
    settings = StressSettings(
        "1", "synthetic:", None, "s", sha256, "c", None, quick=True, draws_seed=0
    )
    results = [
        ConditionResult(name, "k", words, None, None, None, scores(ap, share), None, 1.0)
        for name, words, ap, share in (
            (CLEAN, "nothing", 0.5, 1.0),
            ("fog", "thick fog", 0.4, 0.8),
            ("no_lidar", "no LiDAR", 0.1, 0.2),
        )
    ]
    origin = vars(made_up_run().summary)
    fields = {n: origin[n] for n in StressSummary.__dataclass_fields__ if n in origin}
    summary = StressSummary(
        **(fields | {"checkpoint_sha256": sha256, "frames": 4}),
        quick=True, draws_seed=0, sequences=2, score="mAP", clean=results[0].scores,
        mean_relative_score=0.5, corruptions={}, conditions=3, skipped={},
    )  # fmt: skip
    with begun_stress(folder, settings, anew=False):
        for result in results:
            keep_result(folder, result, None)
        write_stress(folder, small_config(), summary, results)
    return folder


def test_it_holds_the_very_weights_and_their_configuration(tmp_path):
    shipped = read_checkpoint(shipped_checkpoint())
    card = exported(shipped, tmp_path, license=None)
    assert card.data.license == "apache-2.0"
    assert names(tmp_path) == FILES
    assert read_checkpoint(tmp_path / "model.safetensors").sha256 == shipped.sha256
    config = json.loads((tmp_path / "config.json").read_text())
    assert config == shipped.config.model_dump(mode="json")


def test_standard_tools_check_the_digests(checkpoint, tmp_path):
    exported(checkpoint, tmp_path)
    check = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    assert subprocess.run(check, cwd=tmp_path, check=False, capture_output=True).returncode == 0
    (tmp_path / "config.json").write_text("{}")
    assert subprocess.run(check, cwd=tmp_path, check=False, capture_output=True).returncode == 1


def test_the_card_gives_what_the_checkpoint_reached(checkpoint, tmp_path):
    card = exported(checkpoint, tmp_path, repository="leap/small")
    assert (card.data.license, card.data.library_name) == ("apache-2.0", "leapai")
    assert {"3d-object-detection", "lidar"} <= set(card.data.tags)
    assert card.data.model_name == "small"
    assert results_of(card) == {
        "mAP": (0.625, "synthetic:split=val"),
        "velocity_error_mps": (0.5, "synthetic:split=val"),
    }
    assert 'leapai.load("hf://leap/small@main")' in card.text
    assert "| mAP | 0.625 | higher |" in card.text
    assert "| car | 0.750 |" in card.text
    assert "Classes with an AP below 0.3: bus." in card.text
    assert "Real roads, where they were not measured." in card.text
    assert card.text.count("not measured") == 2  # on real roads, and robustness
    assert checkpoint.sha256 in card.text


def test_the_card_gives_the_metrics_of_a_run_instead(checkpoint, tmp_path):
    made = replace(made_up_run(checkpoint_sha256=checkpoint.sha256), config=checkpoint.config)
    card = exported(checkpoint, tmp_path / "hub", run=write(tmp_path / "run", made))
    assert results_of(card)["mAP"] == (round(made.metrics.detection.mean_ap, 4), "made up")
    assert "24 labelled frames of 2 drives" in card.text
    assert "Variables of the configuration" not in card.text
    written = RunMetrics.model_validate_json((tmp_path / "hub/metrics.json").read_bytes())
    assert written == made.metrics
    assert "metrics.json" in (tmp_path / "hub/SHA256SUMS").read_text()


def test_a_run_with_other_settings_is_marked(checkpoint, tmp_path):
    config = checkpoint.config.replace(evaluation={"min_score": 0.25})
    made = replace(made_up_run(checkpoint_sha256=checkpoint.sha256), config=config)
    card = exported(checkpoint, tmp_path / "hub", run=write(tmp_path / "run", made))
    assert "Variables of the configuration were others" in card.text


def test_the_card_gives_the_scores_of_a_stress_run(checkpoint, tmp_path):
    folder = stress_run(tmp_path / "stress", checkpoint.sha256)
    card = exported(checkpoint, tmp_path / "hub", stress=folder)
    assert results_of(card)["mRA"] == (0.5, "made up")
    assert "| thick fog | 40.0% | 80.0% |" in card.text
    assert "less than 50% of the clean mAP: no LiDAR." in card.text
    assert "quick run" in card.text


@pytest.mark.parametrize("kind", ["run", "stress"])
def test_runs_of_other_weights_are_refused_before_anything_is_written(checkpoint, tmp_path, kind):
    folder = tmp_path / kind
    stress_run(folder, "e" * 64) if kind == "stress" else write(folder, made_up_run())
    with pytest.raises(ValueError, match=r"was run with other weights .*run it again with these"):
        exported(checkpoint, tmp_path / "hub", **{kind: folder})
    assert not (tmp_path / "hub").exists()


def test_a_run_of_an_export_does_not_describe_the_checkpoint(checkpoint, tmp_path):
    of_export = {"exported_sha256": "e" * 64, "exported_weights": "int8", "weights": "small8"}
    run = write(tmp_path / "run", made_up_run(checkpoint_sha256=checkpoint.sha256, **of_export))
    with pytest.raises(ValueError, match=r"was run with small8, an export of .* to int8, and the"):
        exported(checkpoint, tmp_path / "hub", run=run)
    assert not (tmp_path / "hub").exists()


def test_a_checkpoint_of_a_training_is_published_without_what_it_resumes_from(checkpoint, tmp_path):
    path = tmp_path / "last.ckpt"
    write_checkpoint(path, {**checkpoint.content, "training": {"step": 3}})
    exported(read_checkpoint(path), tmp_path / "hub")
    published = read_checkpoint(tmp_path / "hub/model.safetensors")
    assert "training" not in published.content
    assert published.metrics == METRICS
    assert published.config == checkpoint.config


def test_nothing_proves_what_weights_of_the_embedded_world_began_with(checkpoint, tmp_path):
    with pytest.raises(ValueError, match=r"--license is missing: the last training .*synthetic"):
        exported(checkpoint, tmp_path / "hub", license=None)


@pytest.mark.parametrize("name", ["README.md", "model.safetensors", "config.json", "metrics.json"])
def test_a_file_of_others_is_never_replaced(checkpoint, tmp_path, name):
    (tmp_path / name).write_text("of others")
    with pytest.raises(ValueError, match=f"holds {name}, which no export to a hub wrote"):
        exported(checkpoint, tmp_path)
    assert (tmp_path / name).read_text() == "of others"
    assert names(tmp_path) == [name]


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ("nuscenes:/home/x/nu,split=val", "nuscenes:nu,split=val"),
        ("rosbag:/home/x/d.mcap,topics=/home/x/t.json", "rosbag:d.mcap,topics=t.json"),
        ("synthetic:split=test,drives=8", "synthetic:split=test,drives=8"),
        ("/home/x:y/drives/,rate_hz=2", "drives,rate_hz=2"),
        ("folder:/home/x/dr:ive,begin=10:30", "folder:dr:ive,begin=10:30"),
        ("own.sets:open:~/a=b/c", "own.sets:open:c"),
    ],
)
def test_data_is_named_without_folders(data, named):
    assert public_data(data) == named


def test_weights_of_data_of_others_need_a_licence_and_no_path_reaches_the_card(tmp_path, capsys):
    theirs = checkpoint_of(tmp_path / "model.ckpt", **ELSEWHERE)
    with pytest.raises(ValueError, match=r"--license is missing.*cc-by-nc-sa-4.0"):
        exported(theirs, tmp_path / "hub", license=None)
    command = ["export", str(theirs.path), "--format", "hub", "-o", str(tmp_path / "hub")]
    assert cli.main([*command, "--license", "cc-by-nc-sa-4.0"]) == 0
    card = ModelCard.load(tmp_path / "hub/README.md")
    assert card.data.license == "cc-by-nc-sa-4.0"
    assert "nuscenes:nu,split=train" in card.text
    assert "/home/anna" not in (tmp_path / "hub/README.md").read_text()
    printed = capsys.readouterr().out
    assert "names paths of this machine: nuscenes:/home/anna/nu,split=train" in printed
    assert "hf upload OWNER/NAME" in printed


@pytest.mark.parametrize("license_id", ["MIT", "apache-2.0\nlicense: mit", ""])
def test_what_is_no_licence_is_refused(checkpoint, tmp_path, license_id):
    with pytest.raises(ValueError, match=r"--license .* must be an identifier"):
        exported(checkpoint, tmp_path / "hub", license=license_id)


def test_a_folder_is_exported_to_again_and_a_clone_too_but_no_other(checkpoint, tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / "README.md").write_text("as the hub made it")
    exported(checkpoint, tmp_path)
    first = (tmp_path / "SHA256SUMS").read_bytes()
    exported(checkpoint, tmp_path)
    assert (tmp_path / "SHA256SUMS").read_bytes() == first
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ValueError, match=r"holds notes\.txt.*new or empty folder"):
        exported(checkpoint, tmp_path)


def test_the_page_of_another_project_is_not_replaced(checkpoint, tmp_path):
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(ValueError, match=r"holds README\.md"):
        exported(checkpoint, tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"


def test_nothing_is_written_through_a_link(checkpoint, tmp_path):
    (tmp_path / "elsewhere").write_text("mine")
    exported(checkpoint, tmp_path / "hub")
    (tmp_path / "hub/config.json").unlink()
    (tmp_path / "hub/config.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=r"config\.json: is a folder, or a link"):
        exported(checkpoint, tmp_path / "hub")
    assert (tmp_path / "elsewhere").read_text() == "mine"


def test_text_of_a_file_is_no_markdown_of_the_card(checkpoint, tmp_path):
    run = made_up_run(checkpoint_sha256=checkpoint.sha256, data="x | <b>y`\n# title")
    card = exported(checkpoint, tmp_path / "hub", run=write(tmp_path / "run", run))
    assert "On `x / <b>y # title`." in card.text
    assert "\n# title" not in card.content
