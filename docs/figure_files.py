"""Saves pictures of the documentation."""

from __future__ import annotations

from pathlib import Path

from matplotlib import pyplot as plt

FOLDER = Path(__file__).parent / "figures"
"""Folder of all pictures of the documentation."""


def save(figure: plt.Figure, name: str) -> None:
    """Writes a picture to the folder of pictures."""
    FOLDER.mkdir(exist_ok=True)
    figure.tight_layout()
    figure.savefig(FOLDER / name, dpi=90)
    plt.close(figure)
