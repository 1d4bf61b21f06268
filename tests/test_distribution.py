"""Versions come from tags, and `make dist` refuses what must not be published."""

from __future__ import annotations

import importlib.util
import io
import re
import shutil
import subprocess
import tarfile
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

from leapai import cli, version

ROOT = Path(__file__).resolve().parents[1]
SPEC = importlib.util.spec_from_file_location(
    "make_distribution", ROOT / "tools/make_distribution.py"
)
assert SPEC is not None
assert SPEC.loader is not None
distribution = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(distribution)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LAST = PROJECT["tool"]["hatch"]["version"]["fallback-version"]
AUTHOR = ("-c", "user.name=a", "-c", "user.email=a@b.c")
CHANGELOG = "# Changelog\n\n## Unreleased\n\n## 0.2.0 - 2026-12-01\n\n* x\n"


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """The files of the project that decide its version, in no repository."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def built_version(folder):
    core = pytest.importorskip("hatchling.metadata.core")
    manager = pytest.importorskip("hatchling.plugin.manager").PluginManager()
    pytest.importorskip("hatch_vcs")
    return core.ProjectMetadata(str(folder), manager).version


def git(folder, *arguments):
    if shutil.which("git") is None:
        pytest.skip("tags are git's")
    subprocess.run(["git", *AUTHOR, *arguments], cwd=folder, check=True, capture_output=True)


def test_without_git_the_version_is_the_one_that_the_project_names(copy):
    assert built_version(copy) == LAST


def test_without_a_tag_it_is_a_development_version_of_the_next_one(copy):
    git(copy, "init", "-q")
    git(copy, "commit", "-qm", "x", "--allow-empty")
    assert re.fullmatch(r"0\.1\.1\.dev\d+\+g[0-9a-f]+(\.d\d+)?", built_version(copy))


def test_a_tag_is_the_version_and_other_tags_are_none(copy):
    git(copy, "init", "-q")
    git(copy, "add", "-A")
    git(copy, "commit", "-qm", "x")
    for tag in ("v0.2.0", "v9", "data-1.0"):
        git(copy, "tag", tag)
    assert built_version(copy) == "0.2.0"
    git(copy, "commit", "-qm", "y", "--allow-empty")
    assert built_version(copy).startswith("0.2.1.dev1+g")
    git(copy, "tag", "v0.3.0rc1")
    assert built_version(copy) == "0.3.0rc1"


def test_a_copy_that_is_not_installed_has_a_version_too(monkeypatch):
    def absent(name):
        raise version.PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", absent)
    spec = importlib.util.spec_from_file_location("version_anew", version.__file__)
    anew = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(anew)
    assert anew.__version__ == "0+unknown"


def test_the_command_prints_the_version_of_the_installation(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"leapai {version.version('leapai')}\n"


def archives(folder, names):
    """A source distribution and a wheel with empty files of these names."""
    sdist, wheel = folder / "leapai-1.tar.gz", folder / "leapai-1-py3-none-any.whl"
    with tarfile.open(sdist, "w:gz") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(f"leapai-1/{name}"), io.BytesIO())
    with ZipFile(wheel, "w") as archive:
        for name in names:
            archive.writestr(name.removeprefix("src/"), "")
        archive.writestr("leapai-1.dist-info/METADATA", "")
    return sdist, wheel


def test_files_that_are_not_of_the_repository_or_are_missing_stop_a_release(tmp_path, capsys):
    tracked = {"README.md", "src/leapai/a.py", "src/leapai_world/b.py"}
    sdist, wheel = archives(tmp_path, ["src/leapai/a.py", "src/leapai_world/b.py"])
    names = distribution.wheel_files(wheel)
    distribution.check_contents(names, distribution.in_package(tracked), {"METADATA"}, "wheel")
    assert capsys.readouterr().out.startswith("wheel: 3 files")
    with pytest.raises(distribution.DistributionError, match=r"^sdist: lacks README\.md$"):
        distribution.check_contents(distribution.sdist_files(sdist), tracked, (), "sdist")
    with pytest.raises(distribution.DistributionError, match=r"^wheel: holds leapai/secret\.env$"):
        distribution.check_contents(
            names | {"leapai/secret.env"}, distribution.in_package(tracked), {"METADATA"}, "wheel"
        )


@pytest.mark.parametrize("development", ["0.2.1.dev3+g0a1b2c3", "0.2.0+d20261201"])
def test_a_development_version_needs_no_section(development):
    distribution.check_release(development, "", "")


def test_a_release_needs_its_section_and_its_number():
    distribution.check_release("0.2.0", CHANGELOG, "0.2.0")
    with pytest.raises(distribution.DistributionError, match=r"no section '## 0\.3\.0 - YYYY"):
        distribution.check_release("0.3.0", CHANGELOG, "0.3.0")
    with pytest.raises(
        distribution.DistributionError, match=r"CITATION\.cff names version 0\.1\.0"
    ):
        distribution.check_release("0.2.0", CHANGELOG, "0.1.0")


def test_the_package_is_the_subject_of_its_sbom_and_no_path_of_this_machine_is_in_it():
    package = {"name": "leapai", "bom-ref": "leapai==1", "version": "1"}
    path = {"type": "distribution", "url": "file:///home/anna/leapai-1.whl"}
    numpy = {"name": "numpy", "bom-ref": "numpy==2"}
    content = {
        "components": [numpy, {**package, "externalReferences": [path]}],
        "dependencies": [{"ref": "leapai==1", "dependsOn": ["numpy==2"]}],
        "metadata": {},
    }
    distribution.about_package(content)
    assert content == {
        "components": [numpy],
        "dependencies": [{"ref": "leapai==1", "dependsOn": ["numpy==2"]}],
        "metadata": {"component": package},
    }


def test_only_a_clone_without_changes_is_released(copy, monkeypatch):
    monkeypatch.setattr(distribution, "ROOT", copy)
    monkeypatch.setattr(distribution.run, "__kwdefaults__", {"folder": copy})
    with pytest.raises(distribution.DistributionError, match="run this in a clone"):
        distribution.tracked_files()
    git(copy, "init", "-q")
    git(copy, "add", "-A")
    git(copy, "commit", "-qm", "x")
    (copy / "untracked").touch()
    assert distribution.tracked_files() == {"pyproject.toml", "README.md", "LICENSE"}
    (copy / "README.md").write_text("changed")
    with pytest.raises(distribution.DistributionError, match=r"commit these changes.*\s.*README"):
        distribution.tracked_files()
