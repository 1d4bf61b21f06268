"""Backbones that begin with timm's weights, from files that timm itself wrote."""

from __future__ import annotations

import pickle
import shutil

import pytest
import timm
import torch
from timm.models import save_for_hf

from leapai.checkpoints import config_of, load_checkpoint, save_checkpoint
from leapai.config.options import TrainingOptions
from leapai.models.build import build_model
from leapai.training import starting_network
from leapai.training.pretrained_backbone import load_pretrained, pretrained_file
from leapai.training.train import run_training
from leapai.training.train_step import TrainStep
from tests.scenes import small_config
from tests.training.runs import training_config

HALF = (0.5, 0.5, 0.5)
"""Mean and deviation of the images of timm's ResNetV2."""
ARGUMENTS = {"resnetv2_18": {"width_factor": 0.125}, "resnet10t": {}}
TIMM = "resnet10t"
"""A network that has no code here."""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """For each network a folder with a classifier's weights in both formats and `config.json`."""
    folders = {}
    for name, arguments in ARGUMENTS.items():
        folders[name] = tmp_path_factory.mktemp(name)
        torch.manual_seed(5)
        classifier = timm.create_model(name, num_classes=7, **arguments)
        with torch.no_grad():
            for value in (*classifier.parameters(), *classifier.buffers()):
                if value.is_floating_point():
                    value.add_(0.1 * torch.rand_like(value))
        save_for_hf(classifier, folders[name], safe_serialization="both")
    return folders


def config_for(path, name="resnetv2_18", **camera):
    colours = {"mean": HALF, "std": HALF} if name == "resnetv2_18" else {}
    given = small_config().camera.model_dump() | colours | camera
    values = given | {"backbone": name, "backbone_args": ARGUMENTS[name]}
    return training_config(camera=values, training={"workers": 0, "pretrained_backbone": str(path)})


@pytest.mark.parametrize("name", list(ARGUMENTS))
@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_all_groups_have_the_maps_of_timm_with_the_same_file(written, name, file):
    path = written[name] / file
    config = config_for(path, name)
    torch.manual_seed(0)
    model = build_model(config).eval()
    line = load_pretrained(model, config)
    assert "for each of 4 backbones; images are normalised as there" in line
    theirs = timm.create_model(
        name,
        features_only=True,
        out_indices=(2, 3, 4),
        pretrained=True,
        pretrained_cfg_overlay={"file": str(path), "num_classes": 7},
        **ARGUMENTS[name],
    ).eval()
    images = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    mean, std = (
        torch.tensor(config.camera.model_dump()[n])[:, None, None] for n in ("mean", "std")
    )
    with torch.no_grad():
        expected = theirs((images / 255 - mean) / std)
        for group in range(4):
            found = model.get_submodule(f"stage1_backbone{group}")(images)
            for one, other in zip(expected, found, strict=True):
                torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_weights_of_other_images_are_refused_with_the_remedy(written):
    config = config_for(written["resnetv2_18"] / "model.safetensors", mean=(0.4, 0.4, 0.4))
    with pytest.raises(ValueError, match=r"set camera.mean = \(0.5, 0.5, 0.5\), here and in"):
        load_pretrained(build_model(config), config)


def test_where_nothing_is_reported_the_configuration_holds_and_is_shown(written, tmp_path):
    path = tmp_path / "model.safetensors"
    shutil.copy(written["resnetv2_18"] / "model.safetensors", path)
    config = config_for(path, mean=(0.4, 0.4, 0.4))
    assert "camera.mean = (0.4, 0.4, 0.4)" in load_pretrained(build_model(config), config)


def test_images_are_normalised_by_the_mean_and_deviation_of_the_configuration():
    model = build_model(config_for("", mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6)))
    backbone = model.stage1_backbone3
    assert backbone.mean.flatten().tolist() == pytest.approx([25.5, 51, 76.5])
    assert backbone.std.flatten().tolist() == pytest.approx([102, 127.5, 153])
    assert "stage1_backbone3.mean" not in model.state_dict()


def refused(tmp_path, write, message):
    path = tmp_path / "weights.pth"
    write(path)
    config = config_for(path)
    model = build_model(config)
    before = {n: v.clone() for n, v in model.state_dict().items()}
    with pytest.raises(ValueError, match=message) as error:
        load_pretrained(model, config)
    assert str(path) in str(error.value)
    assert all(torch.equal(before[n], v) for n, v in model.state_dict().items())


class Harm:
    """Runs code where a pickle of it is loaded."""

    def __reduce__(self):
        return (pytest.fail, ("code of a file ran",))


def test_what_is_no_file_of_weights_is_refused_and_runs_nothing(tmp_path, written):
    weights = torch.load(written["resnetv2_18"] / "pytorch_model.bin", weights_only=True)
    short = {n: v for n, v in weights.items() if not n.startswith("stages.3")}
    spoilt = {n: v / 0 for n, v in weights.items()}
    wide = timm.create_model("resnetv2_18", width_factor=0.25).state_dict()
    for write, message in (
        (lambda path: path.write_bytes(b""), "cannot be read as tensors alone"),
        (
            lambda path: path.write_bytes(b"PK not a file of PyTorch"),
            "cannot be read as tensors alone",
        ),
        (lambda path: path.write_bytes(pickle.dumps(Harm())), "cannot be read as tensors"),
        (lambda path: torch.save({"model": Harm()}, path), "cannot be read as tensors"),
        (lambda path: torch.save([1], path), "holds no weights by name"),
        (lambda path: torch.save(short, path), "is no resnetv2_18 of this size: lacks stages_3"),
        (lambda path: torch.save(wide, path), r"is \(16, 3, 7, 7\), the network has \(8, 3"),
        (lambda path: torch.save(spoilt, path), "has values that no weights have"),
    ):
        refused(tmp_path, write, message)


def test_weights_in_the_wrappings_of_training_programs_are_found(tmp_path, written):
    weights = torch.load(written["resnetv2_18"] / "pytorch_model.bin", weights_only=True)
    path, nothing = tmp_path / "weights.pth", {n: v * 0 for n, v in weights.items()}
    averaged = {f"module.{n}": v for n, v in weights.items()}
    torch.save({"epoch": 3, "state_dict": nothing, "state_dict_ema": averaged}, path)
    config = config_for(path)
    model = build_model(config)
    load_pretrained(model, config)
    assert torch.equal(model.stage1_backbone1.net.stem_conv.weight, weights["stem.conv.weight"])


def test_a_model_is_found_in_the_local_cache_alone(tmp_path, written, monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("the network was asked"))
    with pytest.raises(ValueError, match=r"hf download timm/some_net.in1k"):
        pretrained_file("timm/some_net.in1k")
    snapshot = tmp_path / "models--timm--some_net.in1k" / "snapshots" / ("a" * 40)
    snapshot.parent.mkdir(parents=True)
    shutil.copytree(written["resnetv2_18"], snapshot)
    (snapshot.parent.parent / "refs").mkdir()
    (snapshot.parent.parent / "refs" / "main").write_text("a" * 40)
    assert pretrained_file("timm/some_net.in1k") == snapshot / "model.safetensors"
    with pytest.raises(ValueError, match="there is no such file"):
        pretrained_file("nothing.pth")


def test_the_file_is_read_when_a_training_begins_and_never_after(
    stubs, console, tmp_path, written, monkeypatch
):
    folder = tmp_path / "weights"
    shutil.copytree(written["resnetv2_18"], folder)
    config = config_for(folder / "model.safetensors").replace(finetune_steps=2, max_steps=2)
    first, add = {}, TrainStep.add

    def watched(self, window):
        first.setdefault("stem", self.model.stage1_backbone0.net.stem_conv.weight.clone())
        if self.progress.step == 1:
            raise KeyboardInterrupt
        add(self, window)

    stubs.setattr(TrainStep, "add", watched)
    output = tmp_path / "out"
    config = config.replace(training={"checkpoint_every": 1})
    with pytest.raises(KeyboardInterrupt):
        run_training(config, TrainingOptions(output), console)
    expected = torch.load(folder / "pytorch_model.bin", weights_only=True)["stem.conv.weight"]
    assert torch.equal(first["stem"], expected)
    stubs.setattr(TrainStep, "add", add)
    shutil.rmtree(folder)
    monkeypatch.setattr(
        starting_network, "load_pretrained", lambda *_: pytest.fail("the file was asked for")
    )
    run_training(config, TrainingOptions(output, resume="auto"), console)  # a resumed run
    begun = TrainingOptions(tmp_path / "second", checkpoint=output / "model.ckpt")
    run_training(config, begun, console)  # a second step
    kept = config_of(output / "model.ckpt")
    assert kept.training.pretrained_backbone == ""
    assert kept.camera.mean == HALF
    load_checkpoint(output / "model.ckpt", build_model(kept))  # validation and leapai.load


def test_a_path_in_a_checkpoint_of_others_is_not_followed(tmp_path):
    config = config_for("/etc/passwd")
    save_checkpoint(tmp_path / "model.ckpt", build_model(config), config)
    assert config_of(tmp_path / "model.ckpt").training.pretrained_backbone == ""
