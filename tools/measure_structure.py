"""Prints how deep and how wide the packages are: `python tools/measure_structure.py`.

The numbers of the table in `docs/architecture.md`: depth of own imports, own imports of a file,
module names that occur twice, circles, and lines. Only the source text is read; nothing of the
packages is imported.

    --check       exits with 1 where a goal is missed
    --list        adds the deepest files, one a line
    --frame DATA  adds the files that a frame crosses while the first frame of DATA
                  (`nuscenes:ROOT`) is read, streamed through the shipped network, painted and
                  written: modules whose functions run, and those of them that take or return a
                  value that flows (`Frame`, `FrameBatch`, `Predictions`, `Detections`); this
                  option needs the packages installed
"""

from __future__ import annotations

import argparse
import ast
import statistics
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"
PACKAGES = ("leapai", "leapai_world")
READING_PATH = (
    "types", "geometry", "config", "io", "distributed", "checkpoints", "models", "streaming",
    "data", "training", "evaluation",
)  # fmt: skip
"""Rooms of `leapai` that a reader goes through; the others show results."""
FLOWING = ("Frame", "FrameBatch", "Predictions", "Detections", "StreamedDetections")
"""Names of the types that a frame takes on its way to a picture."""
LISTED = 15
CONFIGURATIONS = "shipped"
"""Folder of files that are configurations, no modules."""
SHORT_NAMES = ("__init__", "__main__")
"""Names of files that may occur more than once."""


@dataclass(frozen=True)
class Goals:
    """Upper bounds that `--check` holds."""

    depth: int = 16
    median_depth: float = 5
    imports: int = 12
    names_twice: int = 0
    circles: int = 0


class Structure:
    """Modules of some packages below a folder, and their imports of each other."""

    def __init__(self, source: Path, packages: Iterable[str] = PACKAGES) -> None:
        self.paths = {
            module_name(path, source): path
            for package in packages
            for path in sorted((source / package).rglob("*.py"))
            if path.parent.name != CONFIGURATIONS
        }

    @cached_property
    def trees(self) -> dict[str, ast.Module]:
        """Syntax trees by module."""
        return {module: ast.parse(path.read_text()) for module, path in self.paths.items()}

    @cached_property
    def imports(self) -> dict[str, frozenset[str]]:
        """Own modules that each module imports, at its top or inside a function."""
        return {
            module: frozenset(self._imported(tree) - {module})
            for module, tree in self.trees.items()
        }

    def _imported(self, tree: ast.Module) -> set[str]:
        names: set[str] = set()
        for node in _nodes_that_run(tree):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                inner = {f"{node.module}.{alias.name}" for alias in node.names}
                names |= inner if inner <= self.paths.keys() else {*inner, node.module}
        return names & self.paths.keys()

    @cached_property
    def depths(self) -> dict[str, int]:
        """Longest chain of own imports below each module; 0: it imports none."""
        known: dict[str, int] = {}

        def depth(module: str, above: frozenset[str]) -> int:
            if module not in known:
                below = self.imports[module] - above
                inner = above | {module}
                known[module] = max((1 + depth(other, inner) for other in below), default=0)
            return known[module]

        for module in self.paths:
            depth(module, frozenset())
        return known

    @property
    def circles(self) -> list[list[str]]:
        """Sets of modules that import each other, at their tops or inside functions."""
        reach = {module: self._reachable(module) for module in self.paths}
        found = {
            tuple(sorted(other for other in reach[module] if module in reach[other]))
            for module in self.paths
            if module in reach[module]
        }
        return [list(circle) for circle in sorted(found)]

    def _reachable(self, module: str) -> set[str]:
        seen: set[str] = set()
        waiting = list(self.imports[module])
        while waiting:
            other = waiting.pop()
            if other not in seen:
                seen.add(other)
                waiting += self.imports[other]
        return seen

    @property
    def names_twice(self) -> dict[str, list[str]]:
        """Names of files that occur more than once, with their modules."""
        by_name: dict[str, list[str]] = {}
        for module, path in self.paths.items():
            if path.stem not in SHORT_NAMES:
                by_name.setdefault(path.stem, []).append(module)
        return {name: found for name, found in by_name.items() if len(found) > 1}

    def lines(self, *prefixes: str) -> int:
        """Counts the lines of all modules that one of the prefixes names or holds."""
        return sum(
            len(path.read_text().splitlines())
            for module, path in self.paths.items()
            if any(module == prefix or module.startswith(f"{prefix}.") for prefix in prefixes)
        )

    @property
    def function_lengths(self) -> list[int]:
        """Lines of every function with its docstring, in ascending order."""
        return sorted(
            (node.end_lineno or node.lineno) - node.lineno + 1
            for tree in self.trees.values()
            for node in ast.walk(tree)
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        )


def module_name(path: Path, source: Path) -> str:
    """Returns the dotted name of a file: `leapai.types` of `leapai/types/__init__.py`."""
    parts = path.relative_to(source).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _nodes_that_run(tree: ast.AST) -> Iterator[ast.AST]:
    """Yields every node but those under `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from _nodes_that_run(node)


def rows_of(structure: Structure) -> dict[str, str]:
    """Returns the lines of the table by name."""
    depth, functions = structure.depths, structure.function_lengths
    widest = max(structure.imports, key=lambda module: len(structure.imports[module]))
    deepest = max(depth, key=depth.__getitem__)
    twice, circles = structure.names_twice, structure.circles
    reading = structure.lines(*(f"leapai.{room}" for room in READING_PATH))
    return {
        "files": f"{len(structure.paths)}",
        "depth of own imports, max / median": f"{depth[deepest]} / "
        f"{statistics.median(depth.values()):g} ({deepest})",
        "most own imports in a file": f"{len(structure.imports[widest])} ({widest})",
        "module names that occur twice": f"{len(twice)} {', '.join(sorted(twice))}",
        "circles of imports": f"{len(circles)} {circles or ''}",
        "lines of leapai": f"{structure.lines('leapai')}",
        "lines of leapai_world": f"{structure.lines('leapai_world')}",
        "lines of the reading path": f"{reading}",
        "lines of a function, median / 90 % / max": f"{functions[len(functions) // 2]} / "
        f"{functions[len(functions) * 9 // 10]} / {functions[-1]}",
    }


def missed_goals(structure: Structure, goals: Goals) -> list[str]:
    """Returns one line for each goal that is missed, with the modules to change."""
    depth = structure.depths
    deep = sorted(module for module in depth if depth[module] > goals.depth)
    median = statistics.median(depth.values())
    wide = sorted(m for m, found in structure.imports.items() if len(found) > goals.imports)
    twice, circles = structure.names_twice, structure.circles
    missed = {
        f"deeper than {goals.depth}: {', '.join(deep)}": bool(deep),
        f"median depth {median:g}, more than {goals.median_depth:g}": median > goals.median_depth,
        f"more than {goals.imports} own imports: {', '.join(wide)}": bool(wide),
        f"names that occur twice: {', '.join(sorted(twice))}": len(twice) > goals.names_twice,
        f"circles of imports: {circles}": len(circles) > goals.circles,
    }
    return [line for line, is_missed in missed.items() if is_missed]


@dataclass
class Crossing:
    """Calls of one module's functions while a frame is on its way."""

    calls: int = 0
    handed_on: int = 0
    """Values that flow, as an argument or as the result of a call."""


@contextmanager
def modules_run(paths: Mapping[str, Path]) -> Iterator[dict[str, Crossing]]:
    """Counts the calls of functions of each module inside the `with` block, in all threads.

    Code that runs because a module is imported does not count.
    """
    names = {str(path): module for module, path in paths.items()}
    crossings: dict[str, Crossing] = {}

    def profile(frame: FrameType, event: str, result: object) -> None:
        name = names.get(frame.f_code.co_filename)
        if name and event in ("call", "return") and not _is_import(frame):
            crossing = crossings.setdefault(name, Crossing())
            is_call = event == "call"
            values = frame.f_locals.values() if is_call else [result]
            crossing.calls += is_call
            crossing.handed_on += sum(type(value).__name__ in FLOWING for value in values)

    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        yield crossings
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def _is_import(frame: FrameType) -> bool:
    """Reports whether a call is made by the body of a module: class bodies, tables, decorators."""
    caller: FrameType | None = frame
    while caller is not None:
        if caller.f_code.co_name == "<module>" and caller.f_back is not None:
            return "importlib" in caller.f_back.f_code.co_filename
        caller = caller.f_back
    return False


def files_crossed(data: str, structure: Structure) -> dict[str, Crossing]:
    """Returns the calls of each module between `log[0]` and the written picture.

    The stream has seen the frame before, so that what is made once is not counted.
    """
    import leapai
    from leapai.checkpoints import config_of
    from leapai.data.log import open_logs
    from leapai.pictures.frame_painter import painter_of
    from leapai.pictures.video import write_png
    from leapai.weights import shipped_checkpoint

    config = config_of(shipped_checkpoint())
    log = open_logs(data, image_size_px=config.camera.image_size_px)[0]
    stream, painter, vector_map = leapai.load(), painter_of(config), log.vector_map()

    def cross(path: Path) -> None:
        frame = log[0]
        detections = stream.step(frame)
        write_png(path, painter.paint(frame, detections, detections.memory, vector_map))

    with TemporaryDirectory() as folder:
        path = Path(folder) / "frame.png"
        cross(path)
        with modules_run(structure.paths) as crossings:
            cross(path)
    return crossings


def write_rows(rows: Mapping[str, object], write: Callable[[str], object]) -> None:
    """Writes names and values in two columns."""
    for name, value in rows.items():
        write(f"{name:42s} {value}\n")


def main() -> int:
    """Prints the table; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 where a goal is missed")
    parser.add_argument("--list", action="store_true", help="also the deepest files")
    parser.add_argument("--frame", metavar="DATA", help="also the files that a frame crosses")
    options = parser.parse_args()
    structure = Structure(SOURCE)
    write_rows(rows_of(structure), sys.stdout.write)
    if options.list:
        for module in sorted(structure.depths, key=lambda m: -structure.depths[m])[:LISTED]:
            depth, imports = structure.depths[module], len(structure.imports[module])
            sys.stdout.write(f"{depth:4d} {imports:4d}  {module}\n")
    if options.frame:
        crossed = files_crossed(options.frame, structure)
        given = [module for module in sorted(crossed) if crossed[module].handed_on]
        counts = {
            "files whose functions run for a frame": len(crossed),
            "files that take or return the frame": f"{len(given)} ({', '.join(given)})",
        }
        write_rows(counts, sys.stdout.write)
    missed = missed_goals(structure, Goals()) if options.check else []
    for line in missed:
        sys.stderr.write(f"missed: {line}\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
