"""`tools/measure_structure.py` measures imports, names, circles and what a frame crosses."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[1] / "tools" / "measure_structure.py"
SPEC = importlib.util.spec_from_file_location("measure_structure", TOOL)
assert SPEC is not None
assert SPEC.loader is not None
measure_structure = importlib.util.module_from_spec(SPEC)
sys.modules[SPEC.name] = measure_structure  # dataclasses look their module up
SPEC.loader.exec_module(measure_structure)
Goals, Structure = measure_structure.Goals, measure_structure.Structure

FILES = {
    "own/__init__.py": "",
    "own/base.py": "import math\n",
    "own/middle.py": "from own import base\n",
    "own/top.py": "from own.middle import name\n\ndef f():\n    import own.base\n",
    "own/lazy.py": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from own.top import f\n"
    ),
    "own/inner/__init__.py": "",
    "own/inner/base.py": "from own.inner import ring\n",
    "own/inner/ring.py": "def g():\n    from own.inner import base\n    return base\n",
}


@pytest.fixture
def structure(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Structure(tmp_path, ["own"])


def test_imports_are_found_at_the_top_and_inside_functions(structure):
    assert structure.imports["own.top"] == {"own.middle", "own.base"}
    assert structure.imports["own.middle"] == {"own.base"}


def test_imports_for_types_alone_do_not_count(structure):
    assert structure.imports["own.lazy"] == set()


def test_depth_is_the_longest_chain(structure):
    depths = structure.depths
    assert [depths[f"own.{name}"] for name in ("base", "middle", "top", "lazy")] == [0, 1, 2, 0]


def test_circles_are_found_through_imports_inside_functions(structure):
    assert structure.circles == [["own.inner.base", "own.inner.ring"]]


def test_names_that_occur_twice_are_found(structure):
    assert structure.names_twice == {"base": ["own.base", "own.inner.base"]}


def test_lines_are_counted_by_prefix(structure):
    assert structure.lines("own.inner") == 4
    assert structure.lines("own.in") == 0


def test_each_goal_that_is_missed_gets_a_line(structure):
    goals = Goals(depth=1, median_depth=-1, imports=1, names_twice=0, circles=0)
    missed = measure_structure.missed_goals(structure, goals)
    assert [line.split(":")[0] for line in missed] == [
        "deeper than 1",
        "median depth 0, more than -1",
        "more than 1 own imports",
        "names that occur twice",
        "circles of imports",
    ]
    assert "own.top" in missed[0]


def test_goals_that_are_met_give_no_line(structure):
    goals = Goals(depth=2, median_depth=1, imports=2, names_twice=1, circles=1)
    assert measure_structure.missed_goals(structure, goals) == []


def test_only_calls_of_own_functions_count_and_imports_do_not(tmp_path, monkeypatch):
    for name, text in {
        "crossed_one.py": "def f(frame):\n    import crossed_two\n    return 1\n",
        "crossed_two.py": "def made():\n    return 2\nVALUE = made()\n",
        "crossed_three.py": "class Frame: ...\ndef g():\n    return Frame()\n",
    }.items():
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    modules = {path.stem: path for path in tmp_path.glob("*.py")}
    one, three = importlib.import_module("crossed_one"), importlib.import_module("crossed_three")
    with measure_structure.modules_run(modules) as crossings:
        one.f(0)
        one.f(three.g())
    assert {name: (c.calls, c.handed_on) for name, c in crossings.items()} == {
        "crossed_one": (2, 1),
        "crossed_three": (1, 1),
    }


def test_the_goals_of_structure_are_held():
    structure = Structure(measure_structure.SOURCE)
    assert measure_structure.missed_goals(structure, Goals()) == []
