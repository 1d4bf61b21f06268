"""`constraints.txt` names one version of everything that `pip install -e '.[dev]'` brings."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LINES = [
    line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")
]


def required(names: list[str]) -> list[Requirement]:
    """The requirements, with those of our own extras in their place."""
    found = []
    for requirement in map(Requirement, names):
        if requirement.name != PROJECT["name"]:
            found.append(requirement)
        for extra in requirement.extras if requirement.name == PROJECT["name"] else ():
            found += required(PROJECT["optional-dependencies"][extra])
    return found


def test_each_line_is_one_version_from_a_registry():
    assert all(re.fullmatch(r"[\w.-]+==[\w.+!-]+", line) for line in LINES)
    assert len({canonicalize_name(line.partition("==")[0]) for line in LINES}) == len(LINES)


def test_what_the_project_requires_is_there_in_a_version_that_it_takes():
    versions = {
        canonicalize_name(name): version
        for name, _, version in (line.partition("==") for line in LINES)
    }
    needs = required([*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]])
    wrong = [
        str(need)
        for need in needs
        if not need.specifier.contains(versions.get(canonicalize_name(need.name), "0"))
    ]
    assert wrong == [], "run `make constraints`"
