"""Imports go one way (`architecture.md`): this walks them."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "leapai"
ORDER = (
    "version", "types", "geometry", "io", "folders", "tensor_file", "extras", "hub",
    "distributed", "config", "weights", "checkpoints", "models", "data", "pictures", "runtime",
    "streaming", "evaluation", "training", "runs", "publishing", "report", "inspection",
    "validation", "prediction", "stress", "confidence", "export", "cli",
)  # fmt: skip
"""A room imports from those before it (`docs/architecture.md`)."""
MAY_IMPORT = {room: set(ORDER[:number]) for number, room in enumerate(ORDER)}
MAY_IMPORT["__main__"] = {"cli"}
MAY_IMPORT["__init__"] = {"version", "types", "data", "streaming", "evaluation"}  # late: last test
LAUNCH = (ROOT / "tools" / "main.py", ROOT / "projects" / "perception" / "entry.py")
FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    """Rooms of leapai that a file imports, at its top or inside a function."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return {name.split(".")[1] for name in names if name.startswith("leapai.")} - {"__version__"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_only_what_lies_below_its_room(path):
    room = room_of(path)
    assert imported_rooms(path) <= MAY_IMPORT[room] | {room}


def test_the_walk_sees_imports_inside_functions():
    assert "training" in imported_rooms(PACKAGE / "cli" / "train_commands.py")


def test_launcher_and_entry_hold_no_logic_of_their_own():
    launcher, entry = (imported_rooms(path) for path in LAUNCH)
    assert launcher == set()
    assert entry == {"cli"}


@pytest.mark.parametrize("module", ["leapai", "leapai.cli"])
def test_package_and_command_start_without_their_heavy_imports(module):
    names = "{'torch', 'cv2', 'pyarrow', 'av', 'numpy', *rooms} & set(sys.modules)"
    rooms = {f"leapai.{room}" for room in MAY_IMPORT if room not in ("cli", "version", "__init__")}
    code = f"import sys, {module}; rooms = {rooms}; print({names})"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "set()"
