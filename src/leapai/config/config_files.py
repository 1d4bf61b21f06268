"""Files of task configurations: those that the package ships, by name, and a user's own.

Importing this module imports nothing heavy: names and files are checked before anything else.
"""

from __future__ import annotations

import ast
from pathlib import Path

from leapai.config.problems import ConfigError

SHIPPED = Path(__file__).resolve().parent / "shipped"
"""Folder of the shipped configurations; `projects/perception/configs` of a checkout links to it."""


def shipped_configs() -> dict[str, Path]:
    """Returns the files of the shipped configurations by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.py"))}


def purpose_of(path: Path) -> str:
    """Returns the first sentence of a configuration file's docstring, without running the file."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.split("\n\n")[0].replace("\n", " ")


def existing_config(named: str | Path) -> Path:
    """Returns the file of a task configuration: a path, or the name of a shipped one.

    A file in the working folder comes before a shipped configuration of the same name. Raises
    ConfigError, which lists the names, where there is neither.
    """
    path = Path(named)
    if path.is_file():
        return path
    shipped = shipped_configs()
    if str(named) not in shipped:
        raise ConfigError(
            f"{named}: there is no such file, and no configuration of this name ships; name a file "
            f"or one of: {', '.join(shipped)}"
        )
    return shipped[str(named)]
