"""Which weights a run has, and what is known of them."""

from __future__ import annotations

from dataclasses import replace

from leapai.checkpoints import read_checkpoint
from leapai.runs.weights_facts import weights_facts
from leapai.weights import card_of, shipped_checkpoint
from tests.made_up_runs import made_up_run

RUN = made_up_run([])


def facts(**changes):
    return dict(weights_facts(replace(RUN.summary, **changes), RUN.config))


def test_the_card_is_that_of_the_weights_that_ship():
    card = card_of(read_checkpoint(shipped_checkpoint()).sha256)
    assert card is not None, "the weights changed: measure them again and write their card"
    found = facts(checkpoint_sha256=card.sha256)
    assert found["weights"].startswith(f"{card.name} (small.ckpt), shipped with leapai")
    assert card.sha256[:12] in found["weights"]
    assert found["trained on"] == card.trained_on
    assert found["on a real road"] == " ".join(card.on_real_roads)


def test_other_weights_have_no_card_and_say_what_they_were_configured_for():
    found = facts(checkpoint_sha256="d" * 64, weights="outputs/mine/model.ckpt")
    assert found["weights"].startswith("outputs/mine/model.ckpt, not shipped with leapai")
    assert RUN.config.data.train in found["trained on"]
    assert "no frame of a real sensor" in found["on a real road"]


def test_an_exported_network_is_named_with_the_type_of_its_weights():
    sha256 = read_checkpoint(shipped_checkpoint()).sha256
    exported = {"exported_sha256": "e" * 64, "exported_weights": "int8", "weights": "mine/int8"}
    words = "as int8, in mine/int8; SHA-256 of its manifest eeeeeeeeeeee"
    for checkpoint in (sha256, "d" * 64):
        found = facts(checkpoint_sha256=checkpoint, **exported)
        assert found["exported"] == words
        assert "(int8)" not in found["weights"], "the export does not ship"
    assert "exported" not in facts(checkpoint_sha256=sha256)


def test_random_weights_have_none():
    assert card_of(None) is None
    random = "random: the network is untrained"
    assert facts(checkpoint_sha256=None, weights=random) == {"weights": random}
