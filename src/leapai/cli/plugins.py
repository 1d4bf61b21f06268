"""Commands of other packages: found by entry point, imported only where they are used."""

from __future__ import annotations

import ast
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

from leapai.cli.arguments import CommandGroup

PLUGINS = "leapai.commands"
"""Group of the entry points that add commands: `NAME = "PACKAGE.MODULE:GROUP"`, a
`CommandGroup`."""


def installed_commands() -> dict[str, EntryPoint]:
    """Returns the entry points of the commands of other packages, by name."""
    return {entry.name: entry for entry in entry_points(group=PLUGINS)}


def load_group(entry: EntryPoint) -> CommandGroup:
    """Imports the commands of an entry point. Raises ValueError where that is not possible."""
    try:
        group = entry.load()
    except Exception as error:
        raise ValueError(
            f"leapai {entry.name}: {entry.value} cannot be imported ({error}); install its package "
            "again or remove it"
        ) from error
    if not isinstance(group, CommandGroup):
        raise ValueError(f"leapai {entry.name}: {entry.value} is no leapai.cli CommandGroup")
    return group


def purpose_of(entry: EntryPoint) -> str:
    """Returns the purpose of a `CommandGroup` as its source text states it, without running it.

    Where the text does not state it as a plain string, the name of the package has to do.
    """
    try:
        tree = ast.parse(_source_of(entry.module).read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError, ImportError):
        tree = ast.Module([], [])
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("CommandGroup"):
            purpose = node.args[0] if node.args else None
            if isinstance(purpose, ast.Constant):
                return str(purpose.value)
    return f"commands of {entry.module.partition('.')[0]}"


def _source_of(module: str) -> Path:
    """Returns the file of a module. Raises ImportError where it is not found."""
    package, *inner = module.split(".")
    spec = find_spec(package)  # of a top-level name: this imports nothing
    if spec is None or spec.origin is None:
        raise ImportError(module)
    if not inner:
        return Path(spec.origin)
    path = Path(spec.origin).parent.joinpath(*inner)
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
