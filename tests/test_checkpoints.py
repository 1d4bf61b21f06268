"""Checkpoints: whole, plain, and refused with the reason."""

import hashlib
import subprocess
import sys

import pytest
import torch

import leapai
from leapai import __version__, cli
from leapai import weights as weights_package
from leapai.checkpoints import (
    config_of,
    header,
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
    write_checkpoint,
)
from leapai.config import explain
from leapai.models.build import build_model
from leapai.tensor_file import read_tensors
from leapai.training.initialise import initialise_from
from leapai.types import CLASS_NAMES
from tests.scenes import make_batch, seeded_model, small_config, static_config

TRUNK = ("fuser", "view_transfer", "lidar_vfe", "lidar_middle_encoder", "lidar_bev_backbone")


def step1_config(**changes):
    steps = {"train_steps": 10, "finetune_steps": 0, "enable_dynamic_temporal": False}
    return small_config(job_name="first", **(steps | changes))


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_equal(a, b):
    assert list(a) == list(b)
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def step1(tmp_path_factory):
    path = tmp_path_factory.mktemp("step1") / "step1.ckpt"
    save_checkpoint(path, seeded_model(step1_config()), step1_config(), metrics={"mAP": 0.5})
    return path


def test_round_trip(tmp_path):
    model = seeded_model(small_config())
    save_checkpoint(tmp_path / "a.ckpt", model, small_config())
    assert [p.name for p in tmp_path.iterdir()] == ["a.ckpt"]
    other = build_model(small_config())
    load_checkpoint(tmp_path / "a.ckpt", other)
    assert_equal(weights(model), weights(other))


def test_a_checkpoint_knows_its_configuration_and_what_it_reached(step1):
    assert config_of(step1) == step1_config()
    assert read_checkpoint(step1).metrics == {"mAP": 0.5}


def test_half_is_half_the_size_and_detects_the_same(tmp_path, step1):
    model = seeded_model(step1_config())
    with torch.no_grad():
        model.fuser.get_parameter(next(n for n, _ in model.fuser.named_parameters())).view(-1)[
            0
        ] = 1e6  # beyond float16
    save_checkpoint(tmp_path / "half.ckpt", model, step1_config(), half=True)
    save_checkpoint(tmp_path / "whole.ckpt", model, step1_config())
    kept = read_checkpoint(tmp_path / "half.ckpt").state_dict
    assert sum(p.dtype == torch.float16 for p in kept.values()) > 100
    assert {n: kept[n].dtype for n, _ in model.named_buffers() if n in kept} == {
        n: b.dtype for n, b in model.named_buffers() if n in kept
    }
    sizes = [sum(t.nbytes for n, t in s.items()) for s in (kept, model.state_dict())]
    assert sizes[0] < 0.6 * sizes[1]
    other = build_model(step1_config()).eval()
    load_checkpoint(tmp_path / "half.ckpt", other)
    for name, value in other.state_dict().items():
        expected = model.state_dict()[name]
        assert value.dtype == expected.dtype
        torch.testing.assert_close(value, expected, rtol=1e-3, atol=1e-6)
    with torch.no_grad():
        predictions, _ = other(make_batch(0), other.initial_state(1))
    assert predictions.dynamic.class_logits.isfinite().all()


def test_another_size_is_refused_with_the_difference(tmp_path):
    save_checkpoint(tmp_path / "a.ckpt", seeded_model(small_config()), small_config())
    wider = small_config(dynamic=small_config().dynamic.model_copy(update={"ffn": 32}))
    model = build_model(wider)
    before = weights(model)
    for load in (
        lambda: load_checkpoint(tmp_path / "a.ckpt", model),
        lambda: initialise_from(tmp_path / "a.ckpt", model, wider),
    ):
        with pytest.raises(ValueError, match=r"a.ckpt.*ffn.*\(16, 16\).*\(32, 16\).*more; use"):
            load()
        assert_equal(weights(model), before)


def test_step_1_initialises_step_2_whole(step1):
    config = small_config(freeze_module_schedules=dict.fromkeys(TRUNK, 0))
    torch.manual_seed(5)
    model = build_model(config)
    report = initialise_from(step1, model, config)
    assert_equal(weights(model), weights(seeded_model(step1_config())))
    assert sum(report.loaded.values()) == sum(v.numel() for v in model.state_dict().values())
    assert not report.new
    assert not report.left_out
    assert not report.settings
    assert "stage1_backbone0..3, stage1_neck0..3, view_transfer" in str(report)


def test_whole_modules_may_be_new_or_left_out_and_are_named(tmp_path, step1):
    content = dict(read_checkpoint(step1).content)
    state = {n: v for n, v in content["state_dict"].items() if not n.startswith("bev_dynamic_head")}
    state["bev_static_head.weight"] = torch.ones(3, 2)
    write_checkpoint(tmp_path / "b.ckpt", content | {"state_dict": state})
    model = build_model(small_config())
    before = weights(model)
    report = initialise_from(tmp_path / "b.ckpt", model, small_config())
    head = {n: v for n, v in before.items() if n.startswith("bev_dynamic_head.")}
    assert_equal({n: weights(model)[n] for n in head}, head)
    rest = [name for name in before if name not in head]
    assert_equal({n: weights(model)[n] for n in rest}, {n: state[n] for n in rest})
    assert report.new == {"bev_dynamic_head": sum(v.numel() for v in head.values())}
    assert report.left_out == {"bev_static_head": 6}
    assert "left out: 6 weights of bev_static_head" in str(report)
    assert "new, as built: " in str(report)


def refused(tmp_path, content, reason, config=None):
    config = config or small_config()
    write_checkpoint(tmp_path / "r.ckpt", content)
    model = build_model(config)
    before = weights(model)
    with pytest.raises(ValueError, match=rf"r.ckpt.*{reason}"):
        initialise_from(tmp_path / "r.ckpt", model, config)
    assert_equal(weights(model), before)


def test_a_part_of_a_module_must_not_be_missing(tmp_path, step1):
    content = dict(read_checkpoint(step1).content)
    state = dict(content["state_dict"])
    del state["bev_dynamic_head.query"]
    refused(tmp_path, content | {"state_dict": state}, "lacks bev_dynamic_head.query")


def test_a_module_of_no_design_is_refused(tmp_path, step1):
    content = dict(read_checkpoint(step1).content)
    state = content["state_dict"] | {"extra.weight": torch.ones(1)}
    refused(tmp_path, content | {"state_dict": state}, "has extra.weight, which the network lacks")


@pytest.mark.parametrize("state", [{}, {"model.fuser.conv.weight": torch.ones(1)}])
def test_nothing_in_common_is_refused(tmp_path, state):
    content = {"state_dict": state, **header(small_config())}
    refused(tmp_path, content, "nothing in common with this network.*leapai train")


def test_a_frozen_module_must_not_stay_random(tmp_path, step1):
    content = dict(read_checkpoint(step1).content)
    state = {n: v for n, v in content["state_dict"].items() if not n.startswith("view_transfer")}
    config = small_config(freeze_module_schedules=dict.fromkeys(TRUNK, 0))
    reason = "lacks view_transfer, which freeze_module_schedules freezes at step 0"
    refused(tmp_path, content | {"state_dict": state}, reason, config)


def test_an_area_that_moved_is_said_though_every_shape_fits(step1):
    bev = small_config().bev.model_copy(update={"x_range_m": (-30.4, 72.0)})
    config = small_config(bev=bev)
    report = initialise_from(step1, build_model(config), config)
    assert report.settings == ("bev.x_range_m was [-40.0, 62.4], is [-30.4, 72.0]",)
    assert "other settings: bev.x_range_m" in str(report)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "there is no such file"),
        (b"", "cannot be read as a checkpoint: it is empty"),
        (b"not a checkpoint at all", "cannot be read as a checkpoint"),
        ({"weights": 1}, "holds no 'state_dict'"),
        ({"state_dict": {"a": 1}}, "holds no 'state_dict' of tensors"),
        ({"state_dict": {}, "class_names": ["<b>"]}, "its class_names cannot be: class name '<b>'"),
    ],
)
def test_what_is_no_checkpoint_is_named(tmp_path, content, reason):
    path = tmp_path / "b.ckpt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        write_checkpoint(path, content)
    for read in (read_checkpoint, config_of, lambda p: load_checkpoint(p, torch.nn.Linear(1, 1))):
        with pytest.raises(ValueError, match=rf"b.ckpt.*{reason}"):
            read(path)


def test_a_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match="is a folder; name a checkpoint file"):
        read_checkpoint(tmp_path)


def test_a_file_cut_short_or_damaged_is_refused(tmp_path):
    write_checkpoint(tmp_path / "a.ckpt", {"state_dict": {"w": torch.arange(100.0)}})
    data = (tmp_path / "a.ckpt").read_bytes()
    for length in range(0, len(data), 41):
        (tmp_path / "cut.ckpt").write_bytes(data[:length])
        with pytest.raises(ValueError, match=r"cut.ckpt: cannot be read as a checkpoint: ."):
            read_checkpoint(tmp_path / "cut.ckpt")
    for position in range(0, len(data), 7):
        damaged = bytearray(data)
        damaged[position] ^= 0x5A
        (tmp_path / "cut.ckpt").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"cut.ckpt: cannot be read as a checkpoint: ."):
            read_checkpoint(tmp_path / "cut.ckpt")


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (None, "holds no configuration"),
        ({"job_name": "x"}, r"of version 0\.0, is not valid in .*--task-config"),
        ({**header(small_config())["config"], "new_option": 1}, "new_option.*--task-config"),
    ],
)
def test_a_configuration_of_another_version_is_named(tmp_path, config, reason):
    content = {"state_dict": {}, "version": "0.0"} | ({"config": config} if config else {})
    write_checkpoint(tmp_path / "c.ckpt", content)
    with pytest.raises(ValueError, match=rf"c.ckpt.*{reason}"):
        config_of(tmp_path / "c.ckpt")


@pytest.mark.parametrize(
    ("weight", "reason"),
    [
        (torch.tensor([1.0, float("nan")]), "has values from nan to nan, which no weights have"),
        (torch.tensor([1.0, float("inf")]), "has values from 1 to inf"),
        (torch.tensor([1e30]), r"has values from 1e\+30"),
        (torch.tensor([1.0], dtype=torch.float64), "is of type float64, weights are of float32"),
        (torch.tensor([1.0 + 1.0j]), "is of type complex64"),
    ],
)
def test_weights_that_no_training_gives_are_refused_by_name(tmp_path, weight, reason):
    write_checkpoint(tmp_path / "w.ckpt", {"state_dict": {"good": torch.ones(2), "bad": weight}})
    with pytest.raises(ValueError, match=rf"w.ckpt: 'bad' {reason}"):
        read_checkpoint(tmp_path / "w.ckpt")


def test_a_negative_variance_is_refused(tmp_path):
    state = {"norm.running_var": torch.tensor([-1.0]), "bias": torch.tensor([-1.0])}
    write_checkpoint(tmp_path / "w.ckpt", {"state_dict": state})
    with pytest.raises(ValueError, match=r"'norm.running_var' has a variance of -1"):
        read_checkpoint(tmp_path / "w.ckpt")


def test_counters_for_weights_are_refused(tmp_path, step1):
    content = dict(read_checkpoint(step1).content)
    state = content["state_dict"]
    name = next(n for n, v in state.items() if n.startswith("fuser") and v.is_floating_point())
    content["state_dict"] = state | {name: state[name].long()}
    write_checkpoint(tmp_path / "w.ckpt", content)
    with pytest.raises(ValueError, match=rf"{name} is torch.int64, the network has torch.float32"):
        load_checkpoint(tmp_path / "w.ckpt", build_model(step1_config()))


FULL_DISK = """
import resource, sys, torch
from pathlib import Path
from leapai.checkpoints import write_checkpoint
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_checkpoint(Path(sys.argv[1]), {"state_dict": {"w": torch.zeros(100_000)}})
except OSError as error:
    print(error)
"""


def test_a_full_disk_leaves_the_last_good_one(tmp_path):
    path = tmp_path / "last.ckpt"
    write_checkpoint(path, {"state_dict": {"w": torch.ones(2)}})
    command = [sys.executable, "-c", FULL_DISK, str(path)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert (
        f"{path} cannot be written: File too large; the one written before is untouched" in output
    )
    assert torch.equal(read_checkpoint(path).state_dict["w"], torch.ones(2))
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OSError, match=r"none/a.ckpt cannot be written: No such file"):
        write_checkpoint(tmp_path / "none" / "a.ckpt", {"state_dict": {}})


@pytest.fixture
def reads(monkeypatch):
    """Paths of the checkpoint files that are read, in order."""
    paths = []

    def counted(path):
        paths.append(str(path))
        return read_tensors(path)

    monkeypatch.setattr("leapai.checkpoints.read_tensors", counted)
    return paths


def test_what_was_read_is_not_read_again(step1, reads):
    checkpoint = read_checkpoint(step1)
    assert checkpoint.config == config_of(checkpoint) == step1_config()
    assert checkpoint.class_names == list(CLASS_NAMES)
    assert (str(checkpoint), checkpoint.version) == (str(step1), __version__)
    assert checkpoint.sha256 == hashlib.sha256(step1.read_bytes()).hexdigest()
    load_checkpoint(checkpoint, build_model(step1_config()))
    initialise_from(checkpoint, build_model(small_config()), small_config())
    assert reads == [str(step1)]


def test_a_loaded_stream_has_read_its_checkpoint_once(step1, reads):
    leapai.load(step1, device="cpu")
    assert reads == [str(step1)]


@pytest.mark.parametrize("command", ["val", "demo", "train", "merge"])
def test_a_command_reads_a_checkpoint_once(command, tmp_path, step1, reads, monkeypatch):
    monkeypatch.delenv("LEAPAI_TASK_CONFIG", raising=False)
    world = "synthetic:frames=2,beams=4"
    data = ("--data", world, "--output", str(tmp_path / "run"))
    static = tmp_path / "static.ckpt"
    if command == "demo":
        monkeypatch.setattr(weights_package, "shipped_checkpoint", lambda: step1)
    if command == "train":
        config = small_config(
            max_steps=1, finetune_steps=1, data={"val": world}, training={"workers": 0}
        )
        (tmp_path / "task.py").write_text(explain(config))
    if command == "merge":
        save_checkpoint(static, seeded_model(static_config()), static_config())
    arguments = {
        "val": ["val", "--ckpt", str(step1), *data],
        "demo": ["demo", *data],
        "train": ["train", "--task-config", f"{tmp_path}/task.py", "--ckpt", str(step1), *data],
        "merge": ["merge", str(step1), str(static), "-o", str(tmp_path / "both.ckpt")],
    }
    assert cli.main(arguments[command]) == 0
    assert reads == ([str(step1), str(static)] if command == "merge" else [str(step1)])
