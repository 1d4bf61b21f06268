"""Weights at `hf://OWNER/NAME@REVISION`, fetched by the hub's own client from a hub of this
machine."""

from __future__ import annotations

import sys
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch

import leapai
from leapai import cli
from leapai.checkpoints import read_checkpoint, save_checkpoint
from leapai.config.checkpoint_names import existing_checkpoint
from leapai.config.hub_options import HubOptions
from leapai.hub import fetched, hub_name
from leapai.publishing.hub_folder import write_hub_folder
from tests.hub_server import COMMIT, EARLIER, hub_server
from tests.scenes import seeded_model, small_config

NAME = "hf://leap/small"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two commits of a repository: with other weights each."""
    home = tmp_path_factory.mktemp("repositories")
    config = small_config(data={"train": "synthetic:", "val": "synthetic:"})
    for number, commit in enumerate((EARLIER, COMMIT)):
        path = home / f"{number}.ckpt"
        save_checkpoint(path, seeded_model(config), config, {"mAP": 0.5 + number / 10})
        write_hub_folder(read_checkpoint(path), home / commit, HubOptions(license="apache-2.0"))
    return {commit: home / commit for commit in (EARLIER, COMMIT)}


@pytest.fixture
def hub(folders, tmp_path, monkeypatch):
    constants = huggingface_hub.constants
    with hub_server() as server:
        server.commits.update(folders)
        template = f"{server.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub_cache"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        fetched.cache_clear()
        yield server
        fetched.cache_clear()


def later_process(server):
    """Forgets what this process has fetched, and what the hub was asked."""
    fetched.cache_clear()
    server.requests.clear()


def replaced(server, tmp_path, name, content):
    """Serves the newest commit with another content of a file; None: without the file."""
    folder = tmp_path / "replaced"
    folder.mkdir()
    for path in server.commits[COMMIT].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / name).unlink() if content is None else (folder / name).write_bytes(content)
    server.commits[COMMIT] = folder


def test_a_stream_has_the_weights_of_the_hub(hub, folders):
    stream = leapai.load(f"{NAME}@main", device="cpu")
    weights = stream.session.model.state_dict()
    of_file = read_checkpoint(folders[COMMIT] / "model.safetensors").state_dict
    assert weights.keys() == of_file.keys()
    assert all(torch.equal(weights[name], of_file[name]) for name in weights)


def test_a_revision_is_a_branch_or_a_commit_and_main_by_default(hub):
    metrics = {
        revision: read_checkpoint(Path(NAME + revision)).metrics["mAP"]
        for revision in ("", "@main", f"@{COMMIT}", f"@{EARLIER}")
    }
    assert list(metrics.values()) == [0.6, 0.6, 0.6, 0.5]


def test_both_files_are_of_one_commit_where_the_branch_moves_meanwhile(hub, monkeypatch):
    hub.branches["main"] = EARLIER
    download = huggingface_hub.hf_hub_download

    def move_then_fetch(*args, **given):
        path = download(*args, **given)
        hub.branches["main"] = COMMIT
        return path

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", move_then_fetch)
    assert read_checkpoint(Path(NAME)).metrics["mAP"] == 0.5


def test_a_process_asks_once_and_a_commit_that_is_there_is_not_asked_for(hub):
    existing_checkpoint(Path(f"{NAME}@{COMMIT}"))
    asked = len(hub.requests)
    path = read_checkpoint(Path(f"{NAME}@{COMMIT}")).path
    assert len(hub.requests) == asked == 4
    assert path.parent.name == COMMIT
    later_process(hub)
    assert read_checkpoint(Path(f"{NAME}@{COMMIT}")).path == path
    assert hub.requests == []


def test_without_the_network_copies_are_used_and_others_named_with_the_remedy(hub, monkeypatch):
    path = existing_checkpoint(Path(f"{NAME}@main"))
    later_process(hub)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert existing_checkpoint(Path(f"{NAME}@main")) == path
    with pytest.raises(OSError, match=r"no copy of these.*hf download leap/small --revision v2"):
        existing_checkpoint(Path(f"{NAME}@v2"))
    assert hub.requests == []


@pytest.mark.parametrize("when", ["fetched", "kept"])
def test_weights_of_another_digest_are_refused(hub, tmp_path, when):
    if when == "fetched":
        replaced(hub, tmp_path, "model.safetensors", b"other weights")
    else:
        path = existing_checkpoint(Path(NAME)).resolve()
        path.chmod(0o644)
        path.write_bytes(b"damaged on this disk")
        later_process(hub)
    with pytest.raises(ValueError, match=r"SHA256SUMS lists \w{64}.*is not read. Delete /.*again"):
        read_checkpoint(Path(NAME))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "lists no digest of model.safetensors"),
        (b"<html>", "no list of digests"),
        (b"0" * 64 + b"  model.safetensors\n" * 9999, "no list of digests"),
        (None, r"lacks model\.safetensors or SHA256SUMS.*is it a network of leapai"),
    ],
)
def test_a_repository_without_digests_is_refused(hub, tmp_path, content, message):
    replaced(hub, tmp_path, "SHA256SUMS", content)
    with pytest.raises(ValueError, match=message):
        read_checkpoint(Path(NAME))
    assert not any(request.endswith("model.safetensors") for request in hub.requests)


def test_what_the_hub_refuses_is_one_line_with_a_remedy(hub):
    with pytest.raises(ValueError, match=r"hf://leap/other@main: the hub has no such.*hf auth"):
        existing_checkpoint(Path("hf://leap/other"))
    with pytest.raises(ValueError, match=r"no revision 'v9'; name a branch, a tag or a commit"):
        existing_checkpoint(Path(f"{NAME}@v9"))
    hub.gated = True
    with pytest.raises(ValueError, match=r"its owner must grant access.*hf auth login"):
        existing_checkpoint(Path(NAME))


@pytest.mark.parametrize(
    "name",
    [
        "hf://small", "hf://a/b/c", "hf://leap/..", "hf://../small", "hf:///small", "hf://leap/a b",
        "hf://leap/small@", "hf://leap/small@../x", "hf://leap/small@v1?x=1", "hf://leap/small@a@b",
        "hf://leap/small@-x", f"hf://leap/{'x' * 97}", "hf://leap/sm\u00e4ll",
    ],
)  # fmt: skip
def test_what_is_no_name_of_weights_is_refused_before_the_hub_is_asked(hub, name):
    for source in (name, Path(name)):
        with pytest.raises(ValueError, match=r"hf://OWNER/NAME@REVISION"):
            hub_name(source)
    assert hub.requests == []


def test_a_name_is_the_same_as_a_path_and_as_text():
    assert str(hub_name(Path("hf://leap/small@refs/pr/1"))) == "hf://leap/small@refs/pr/1"


def test_without_the_client_its_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match=r"pip install 'leapai\[hub\]'"):
        existing_checkpoint(Path(NAME))


def test_commands_take_weights_on_a_hub(hub, tmp_path, capsys):
    assert (
        cli.main(
            [
                "export",
                f"{NAME}@{EARLIER}",
                "--format",
                "hub",
                "--license",
                "mit",
                "-o",
                str(tmp_path / "again"),
            ]
        )
        == 0
    )
    assert read_checkpoint(tmp_path / "again/model.safetensors").metrics["mAP"] == 0.5
    wrong = f"{NAME}@v9"
    for command in (
        ["predict", "synthetic:", "--ckpt", wrong],
        ["val", "--ckpt", wrong],
        ["bench", "--ckpt", wrong],
        ["stress", wrong],
        ["train", "tiny_step1", "--ckpt", wrong],
        ["cache", "tiny_step1", "--ckpt", wrong],
        ["merge", wrong, wrong, "-o", "both.ckpt"],
    ):
        fetched.cache_clear()
        hub.requests.clear()
        capsys.readouterr()
        assert cli.main(command) == 2
        assert "has no revision 'v9'" in capsys.readouterr().err
        assert hub.requests == ["HEAD /leap/small/resolve/v9/SHA256SUMS"]


def test_a_download_that_breaks_off_is_one_line_and_succeeds_later(hub, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)  # the client waits between its tries
    hub.cut_short = True
    with pytest.raises(OSError, match=r"hf://leap/small@main: .*try again"):
        existing_checkpoint(Path(NAME))
    hub.cut_short = False
    assert read_checkpoint(Path(NAME)).metrics["mAP"] == 0.6
