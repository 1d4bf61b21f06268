"""Facts about the weights of a run: which they are, what they were trained on, and what that means
on a real road."""

from __future__ import annotations

from pathlib import Path

from leapai.config.schema import TaskConfig
from leapai.runs.run_summary import RunOrigin
from leapai.weights import card_of

SHOWN_DIGITS = 12
"""Digits of a SHA-256 that are shown."""
EMBEDDED_WORLD = "synthetic"
"""Name of the data set that is rendered."""
NOTHING_REAL = (
    "not measured; no frame of a real sensor is in that data: expect objects that are missed and "
    "detections of nothing"
)


def weights_facts(origin: RunOrigin, config: TaskConfig) -> list[tuple[str, str]]:
    """Returns facts and their names, most important first. What to expect on a real road is known
    of the shipped weights alone."""
    if origin.checkpoint_sha256 is None:
        return [("weights", origin.weights)]
    digest = f"SHA-256 {origin.checkpoint_sha256[:SHOWN_DIGITS]}, seed {origin.seed}"
    card, exported = card_of(origin.checkpoint_sha256), _exported(origin)
    if card is None:
        sources = " + ".join(source.data for source in config.data.sources)
        facts = [
            ("weights", f"{origin.weights}, not shipped with leapai; {digest}"),
            *exported,
            ("trained on", f"{sources}, by the configuration of this run"),
        ]
        if rendered_alone(config):
            facts.append(("on a real road", NOTHING_REAL))
        return facts
    file = "" if exported else f" ({Path(origin.weights).name})"
    return [
        ("weights", f"{card.name}{file}, shipped with leapai; {digest}"),
        *exported,
        ("trained on", card.trained_on),
        ("on a real road", " ".join(card.on_real_roads)),
    ]


def _exported(origin: RunOrigin) -> list[tuple[str, str]]:
    """Returns the fact that an exported network ran; none where the checkpoint itself did."""
    if origin.exported_sha256 is None:
        return []
    digest = origin.exported_sha256[:SHOWN_DIGITS]
    words = f"as {origin.exported_weights}, in {origin.weights}; SHA-256 of its manifest {digest}"
    return [("exported", words)]


def rendered_alone(config: TaskConfig) -> bool:
    """Returns whether a training has the embedded world alone as its data."""
    return all(s.data.partition(":")[0] == EMBEDDED_WORLD for s in config.data.sources)
