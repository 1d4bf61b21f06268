"""Prints how deep and how wide the package is: `python tools/measure_structure.py`.

The numbers of the table in `docs/architecture.md`: depth of own imports, imports in a file, module
names that occur twice, circles, lines, and what a frame crosses. Only the source text is read;
nothing of the package is imported. `--list` adds the deepest files, one a line.
"""

from __future__ import annotations

import argparse
import ast
import statistics
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"
PACKAGES = ("leapai", "leapai_world")
READING_PATH = (
    "types", "geometry", "config", "io", "distributed", "checkpoints", "models", "streaming",
    "data", "training", "evaluation",
)  # fmt: skip
"""Rooms of `leapai` that a reader goes through; what lies below them shows results."""
LISTED = 15


def modules() -> dict[str, Path]:
    """Every module of the packages by its dotted name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((SOURCE / package).rglob("*.py")):
            parts = path.relative_to(SOURCE).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def _outside_type_checking(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node that runs: what stands under `if TYPE_CHECKING` does not."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from _outside_type_checking(node)


@cache
def own_imports(module: str) -> frozenset[str]:
    """Modules of the packages that a module imports, at its top or inside a function."""
    names: set[str] = set()
    for node in _outside_type_checking(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= (inner & MODULES.keys()) or {node.module}
            if any(f"{node.module}.{alias.name}" not in MODULES for alias in node.names):
                names.add(node.module)
    return frozenset(names & MODULES.keys() - {module})


def circles() -> list[list[str]]:
    """Sets of modules that import each other, at their tops or inside functions."""
    reach = {module: _reachable(module) for module in MODULES}
    found = {
        tuple(sorted(other for other in reach[module] if module in reach[other]))
        for module in MODULES
        if module in reach[module]
    }
    return [list(circle) for circle in sorted(found)]


def _reachable(module: str) -> set[str]:
    seen: set[str] = set()
    waiting = list(own_imports(module))
    while waiting:
        other = waiting.pop()
        if other not in seen:
            seen.add(other)
            waiting += own_imports(other)
    return seen


def depths() -> dict[str, int]:
    """For every module the longest chain of own imports below it; 0: it imports none."""
    known: dict[str, int] = {}

    def depth(module: str, above: frozenset[str]) -> int:
        if module not in known:
            below = own_imports(module) - above
            inner = above | {module}
            known[module] = max((1 + depth(other, inner) for other in below), default=0)
        return known[module]

    for module in MODULES:
        depth(module, frozenset())
    return known


def names_twice() -> dict[str, list[str]]:
    """Names of files that occur more than once, but for `__init__` and `__main__`."""
    by_name: dict[str, list[str]] = {}
    for module, path in MODULES.items():
        if not path.stem.startswith("__"):
            by_name.setdefault(path.stem, []).append(module)
    return {name: found for name, found in by_name.items() if len(found) > 1}


def lines(prefixes: tuple[str, ...]) -> int:
    """Lines of all modules that one of the prefixes names or holds."""
    return sum(
        len(path.read_text().splitlines())
        for module, path in MODULES.items()
        if any(module == prefix or module.startswith(f"{prefix}.") for prefix in prefixes)
    )


def function_lengths() -> list[int]:
    """Lines of every function, its docstring included."""
    return sorted(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for path in MODULES.values()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--list", action="store_true", help="also the deepest files")
    options = parser.parse_args()
    depth, functions = depths(), function_lengths()
    imports = Counter({module: len(own_imports(module)) for module in MODULES})
    widest, most = imports.most_common(1)[0]
    deepest = max(depth, key=depth.__getitem__)
    twice = names_twice()
    rows = {
        "files": len(MODULES),
        "depth of own imports, max / median": f"{depth[deepest]} / "
        f"{statistics.median(depth.values()):g} ({deepest})",
        "most own imports in a file": f"{most} ({widest})",
        "module names that occur twice": f"{len(twice)} {', '.join(sorted(twice))}",
        "circles of imports": f"{len(circles())} {circles() or ''}",
        "lines of leapai": lines(("leapai",)),
        "lines of leapai_world": lines(("leapai_world",)),
        "lines of the reading path": lines(tuple(f"leapai.{room}" for room in READING_PATH)),
        "lines of a function, median / 90 % / max": f"{functions[len(functions) // 2]} / "
        f"{functions[len(functions) * 9 // 10]} / {functions[-1]}",
    }
    for name, value in rows.items():
        sys.stdout.write(f"{name:42s} {value}\n")
    if options.list:
        for module in sorted(depth, key=lambda name: -depth[name])[:LISTED]:
            sys.stdout.write(f"{depth[module]:4d} {imports[module]:4d}  {module}\n")


if __name__ == "__main__":
    main()
