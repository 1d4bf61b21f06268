"""The files for contributors agree with the project: versions, commands, extras, licence."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml")  # comes with the extra docs
ROOT = Path(__file__).resolve().parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = SETTINGS["project"]
LAST_VERSION = SETTINGS["tool"]["hatch"]["version"]["fallback-version"]
"""Version of the last release, or of the first where none was made."""
TARGETS = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*_*.yml"))


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


def test_the_workflow_tests_every_python_that_the_package_supports():
    (job,) = read(".github/workflows/test.yml")["jobs"].values()
    supported = re.findall(r"Python :: (3\.\d+)'", str(PROJECT["classifiers"]))
    assert set(supported) <= set(job["strategy"]["matrix"]["python"])
    (command,) = [step["run"] for step in job["steps"] if "run" in step]
    assert command.split()[:2] == ["make", "test"]


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_the_forms_of_issues_are_complete(path):
    form = yaml.safe_load(path.read_text())
    assert {"name", "description", "body"} <= set(form)
    identifiers = [field["id"] for field in form["body"]]
    assert len(set(identifiers)) == len(identifiers)
    assert all(field["attributes"]["label"] for field in form["body"])


def test_a_bug_report_must_hold_the_output_of_info():
    form = read(".github/ISSUE_TEMPLATE/bug_report.yml")
    (field,) = [field for field in form["body"] if "leapai info" in field["attributes"]["label"]]
    assert field["validations"]["required"]


def test_the_citation_names_the_version_and_the_licence():
    citation = read("CITATION.cff")
    assert citation["version"] == LAST_VERSION
    assert citation["license"] == PROJECT["license"]
    assert [author["name"] for author in citation["authors"]] == [
        author["name"] for author in PROJECT["authors"]
    ]


def test_the_image_copies_files_that_exist_and_installs_extras_that_exist():
    text = (ROOT / "Dockerfile").read_text()
    copied = [
        name for line in re.findall(r"^COPY \S+ (.+) \S+$", text, re.M) for name in line.split()
    ]
    assert {"pyproject.toml", "src"} <= set(copied)
    assert [name for name in copied if not (ROOT / name).exists()] == []
    ignored = (ROOT / ".dockerignore").read_text()
    assert [name for name in copied if f"\n!{name}\n" not in ignored] == []
    (extras,) = re.findall(r"^ARG EXTRAS=(\S+)$", text, re.MULTILINE)
    assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])


def test_the_image_runs_as_a_user_without_privileges():
    text = (ROOT / "Dockerfile").read_text()
    (user,) = re.findall(r"^USER (\S+)$", text, re.MULTILINE)
    assert user != "root"
    assert text.index("\nUSER ") < text.index("\nENTRYPOINT ")


def test_the_commands_for_contributors_are_targets_of_make():
    named = set(re.findall(r"`make (\w+)`", (ROOT / "CONTRIBUTING.md").read_text()))
    assert {"test", "docs"} <= named <= TARGETS


def test_the_changelog_has_a_section_for_what_comes_next():
    sections = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert sections[0] == "Unreleased"
    assert len(set(sections)) == len(sections)
