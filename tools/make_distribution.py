"""Builds the source distribution and the wheel, and checks them as a user meets them: `make dist`.

1. `python -m build` makes the source distribution, and the wheel from it.
2. Every file in them is one that git tracks, and none is missing; twine checks their metadata.
3. The wheel is installed into a new environment, alone. There `leapai --version` names its version,
   and `smoke_check.py` streams a frame through the network that ships. With the extra `world`,
   `leapai predict` must detect objects in the embedded world.
4. An SBOM in CycloneDX's format lists what the plain installation consists of.
5. A version that is a release needs its section in the changelog and its number in the citation.

Nothing is uploaded. `dist/` then holds four files: both distributions, the SBOM, SHA256SUMS.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Collection, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
PACKAGES = ("leapai", "leapai_world")
MADE_FOR_SDIST = {"PKG-INFO"}
MADE_FOR_WHEEL = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
LINK = "120000"
"""Mode of a symbolic link in the index of git."""
DRIVE = "synthetic:split=val,drives=1,frames=3,rate_hz=4"
SBOM_VERSION = "1.6"
"""Version of CycloneDX's format."""
_RELEASE = re.compile(r"\d+\.\d+\.\d+(?:rc\d+)?")


class DistributionError(Exception):
    """A distribution that must not be published; the message is the reason."""


def main() -> None:
    """Makes and checks everything; exits with 1 and one line where something is wrong."""
    try:
        shutil.rmtree(DIST, ignore_errors=True)
        tracked = tracked_files()
        run(sys.executable, "-m", "build", "--outdir", str(DIST), str(ROOT))
        (sdist,), (wheel,) = DIST.glob("*.tar.gz"), DIST.glob("*.whl")
        version = wheel.name.split("-")[1]
        check_contents(sdist_files(sdist), tracked, MADE_FOR_SDIST, sdist.name)
        check_contents(wheel_files(wheel), in_package(tracked), MADE_FOR_WHEEL, wheel.name)
        run(sys.executable, "-m", "twine", "check", "--strict", str(sdist), str(wheel))
        check_release(version, (ROOT / "CHANGELOG.md").read_text(), citation_version())
        with TemporaryDirectory(prefix="leapai-dist-") as folder:
            check_installed(wheel, version, Path(folder))
    except (DistributionError, subprocess.CalledProcessError) as error:
        sys.exit(f"error: {error}")
    write_digests()
    for path in sorted(DIST.iterdir()):
        say(f"  -> {path.relative_to(ROOT)}  {path.stat().st_size / 1e6:.2f} MB")


def say(line: str) -> None:
    """Prints a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run(*command: str, folder: Path = ROOT) -> str:
    """Runs a command and returns its output. Raises CalledProcessError, with the output printed,
    where it fails."""
    say(f"$ {' '.join(command)}")
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if ended.returncode:
        sys.stderr.write(ended.stdout + ended.stderr)
        raise subprocess.CalledProcessError(ended.returncode, command)
    return ended.stdout.strip()


def tracked_files() -> set[str]:
    """Returns the files of the repository, without links: what they lead to is there itself.

    Raises DistributionError where git does not list them, or where tracked ones have changes that
    are not committed.
    """
    try:
        listed = run("git", "ls-files", "--stage")
    except (OSError, subprocess.CalledProcessError):
        raise DistributionError("git does not list the files: run this in a clone") from None
    changed = run("git", "status", "--porcelain", "--untracked-files=no")
    if changed:
        raise DistributionError(f"commit these changes first:\n{changed}")
    found = (line.split(maxsplit=3) for line in listed.splitlines())
    return {name for mode, _, _, name in found if mode != LINK}


def in_package(tracked: Collection[str]) -> set[str]:
    """Returns the files of the packages, as a wheel names them."""
    names = {name.removeprefix("src/") for name in tracked if name.startswith("src/")}
    return {name for name in names if name.split("/")[0] in PACKAGES}


def sdist_files(path: Path) -> set[str]:
    """Returns the names in a source distribution, without its folder."""
    with tarfile.open(path) as archive:
        return {member.name.partition("/")[2] for member in archive if not member.isdir()}


def wheel_files(path: Path) -> set[str]:
    """Returns the names in a wheel; those of its metadata without their folder."""
    with ZipFile(path) as archive:
        return {re.sub(r"^[^/]+\.dist-info/", "", name) for name in archive.namelist()}


def check_contents(
    names: Collection[str], expected: Collection[str], made: Collection[str], what: str
) -> None:
    """Raises DistributionError where a distribution has files that are not of the repository, or
    lacks some; `made` are those that its build adds."""
    strays = sorted(set(names) - set(expected) - set(made))
    missing = sorted((set(expected) | set(made)) - set(names))
    if strays or missing:
        lists = [f"holds {', '.join(strays)}"] * bool(strays)
        lists += [f"lacks {', '.join(missing)}"] * bool(missing)
        raise DistributionError(f"{what}: {'; '.join(lists)}")
    say(f"{what}: {len(set(names))} files, none but those of the repository")


def citation_version() -> str:
    """Returns the version that `CITATION.cff` names."""
    found = re.search(r"^version: *(\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    return found[1] if found else ""


def check_release(version: str, changelog: str, cited: str) -> None:
    """Raises DistributionError where a release lacks its section in the changelog or its number in
    the citation. Development versions need neither."""
    if not _RELEASE.fullmatch(version):
        say(f"{version} is a development version: no tag vX.Y.Z is on this commit")
        return
    if not re.search(rf"^## {re.escape(version)} - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE):
        raise DistributionError(
            f"CHANGELOG.md has no section '## {version} - YYYY-MM-DD'; add it and move the tag"
        )
    if cited != version:
        raise DistributionError(f"CITATION.cff names version {cited}, and the tag {version}")


def check_installed(wheel: Path, version: str, folder: Path) -> None:
    """Installs the wheel into a new environment without pip, and checks it there."""
    run(sys.executable, "-m", "venv", "--without-pip", str(folder / "env"))
    binaries = folder / "env" / "bin"
    python = str(binaries / "python")
    install = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet")
    run(*install, str(wheel))
    run(sys.executable, "-m", "pip", "--python", python, "check")
    printed = run(str(binaries / "leapai"), "--version", folder=folder)
    if printed != f"leapai {version}":
        raise DistributionError(f"leapai --version prints '{printed}', the wheel is of {version}")
    say(run(python, "-I", str(ROOT / "tools" / "smoke_check.py"), folder=folder))
    write_sbom(python, version)
    run(*install, f"{wheel}[world]")
    check_detections(binaries / "leapai", folder)


def check_detections(leapai: Path, folder: Path) -> None:
    """Raises DistributionError where the network that ships detects nothing in the embedded
    world."""
    run(str(leapai), "predict", DRIVE, "--no-pictures", "--output", "out", folder=folder)
    summary = json.loads((folder / "out" / "prediction.json").read_text())
    if not summary["detections"]:
        raise DistributionError(f"leapai predict {DRIVE}: nothing was detected")
    say(f"{summary['detections']} detections in {summary['frames']} frames")


def write_sbom(python: str, version: str) -> None:
    """Writes the SBOM of an environment: the package, what is installed with it, and which needs
    which. Raises DistributionError where it is not valid or names files of this machine."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    path = DIST / f"leapai-{version}.cdx.json"
    tool = (sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible")
    content = json.loads(run(*tool, "--spec-version", SBOM_VERSION, python))
    about_package(content)
    text = json.dumps(content, indent=2) + "\n"
    fault = JsonStrictValidator(SchemaVersion.from_version(SBOM_VERSION)).validate_str(text)
    if fault is not None or "file://" in text:
        raise DistributionError(f"{path.name}: {fault or 'it names files of this machine'}")
    path.write_text(text)
    say(f"{path.name}: the package and {len(content['components'])} others")


def about_package(content: dict[str, Any]) -> None:
    """Makes the package the subject of an SBOM, instead of one of the components that there are in
    an environment; the path of the wheel that was installed is left out."""
    (package,) = [each for each in content["components"] if each["name"] == "leapai"]
    content["components"].remove(package)
    package.pop("externalReferences", None)
    content["metadata"]["component"] = package


def write_digests() -> None:
    """Writes SHA256SUMS over all files, for `sha256sum --check`."""
    files: Sequence[Path] = sorted(DIST.iterdir())
    digests = ((hashlib.sha256(path.read_bytes()).hexdigest(), path.name) for path in files)
    (DIST / "SHA256SUMS").write_text("".join(f"{digest}  {name}\n" for digest, name in digests))


if __name__ == "__main__":
    main()
