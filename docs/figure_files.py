"""Where figures of the documentation go."""

from __future__ import annotations

from pathlib import Path

from matplotlib import pyplot as plt

FOLDER = Path(__file__).parent / "figures"


def save(figure: plt.Figure, name: str) -> None:
    """Writes a figure beside the texts."""
    FOLDER.mkdir(exist_ok=True)
    figure.tight_layout()
    figure.savefig(FOLDER / name, dpi=90)
    plt.close(figure)
