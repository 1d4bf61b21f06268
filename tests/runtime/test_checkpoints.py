"""Checkpoints: whole, plain, and refused with the reason."""

import pickle

import pytest
import torch
from tests.scenes import seeded_model, small_config

from leapai.models.build import build_model
from leapai.runtime.checkpoints import load_checkpoint, save_checkpoint


def test_round_trip(tmp_path):
    model = seeded_model(small_config())
    save_checkpoint(tmp_path / "a.ckpt", model, small_config())
    assert [p.name for p in tmp_path.iterdir()] == ["a.ckpt"]
    other = build_model(small_config())
    load_checkpoint(tmp_path / "a.ckpt", other)
    for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_another_size_is_refused_with_the_difference(tmp_path):
    save_checkpoint(tmp_path / "a.ckpt", seeded_model(small_config()), small_config())
    wider = small_config(dynamic=small_config().dynamic.model_copy(update={"ffn": 32}))
    model = build_model(wider)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=r"a.ckpt.*ffn.*\(16, 16\).*\(32, 16\)"):
        load_checkpoint(tmp_path / "a.ckpt", model)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "there is no such file"),
        (b"", "cannot be read as a checkpoint"),
        (b"not a checkpoint at all", "cannot be read as a checkpoint"),
        ({"weights": 1}, "holds no 'state_dict'"),
        ({"state_dict": {}, "class_names": ["dog"]}, r"made for classes \['dog'\]"),
    ],
)
def test_what_is_no_checkpoint_is_named(tmp_path, content, reason):
    path = tmp_path / "b.ckpt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(ValueError, match=rf"b.ckpt.*{reason}"):
        load_checkpoint(path, build_model(small_config()))


def test_code_in_a_checkpoint_is_never_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",))

    path = tmp_path / "evil.ckpt"
    path.write_bytes(pickle.dumps({"state_dict": Evil()}, protocol=2))
    with pytest.raises(ValueError, match="cannot be read"):
        load_checkpoint(path, build_model(small_config()))
    torch.save({"state_dict": Evil()}, path)
    with pytest.raises(ValueError, match="cannot be read"):
        load_checkpoint(path, build_model(small_config()))
    assert not (tmp_path / "ran").exists()
