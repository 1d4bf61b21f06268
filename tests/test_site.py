"""The site of the documentation: it is built without a warning, holds every page, documents the
public API, and asks for nothing from the network."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import leapai

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PROJECT = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]
TOPICS = ["Home", "Start", "Use", "Your data", "Concepts", "Design", "API reference", "Results"]
FROM_NETWORK = re.compile(
    r"<(?:script|img|iframe|source|video)\b[^>]*\bsrc=\"?(?:https?:)?//[^\">\s]+"
    r"|<link\b[^>]*\bhref=\"?(?:https?:)?//[^\">\s]+"
    r"|(?:@import\s*|url\()[\"']?(?:https?:)?//[^\"')\s]+"
)
"""What a browser loads by itself. A link that a reader clicks is none."""
needs_zensical = pytest.mark.skipif(
    find_spec("zensical") is None or find_spec("mkdocstrings_handlers") is None,
    reason="zensical and mkdocstrings, which build the site, are not installed",
)


def pages_of(navigation: list[dict[str, Any]]) -> list[str]:
    """Returns the pages of the navigation, in their order."""
    found = []
    for entry in navigation:
        for target in entry.values():
            found += [target] if isinstance(target, str) else pages_of(target)
    return found


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    """Builds the site of a copy of the documentation, as `make docs` does."""
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    return subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)


def copied(folder: Path) -> Path:
    """Copies what the site is made of to a folder."""
    shutil.copy(ROOT / "zensical.toml", folder)
    (folder / "src").symlink_to(ROOT / "src")
    shutil.copytree(DOCS, folder / "docs", ignore=shutil.ignore_patterns("figures", "*.py"))
    (folder / "docs" / "figures").symlink_to(DOCS / "figures")
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site."""
    folder = copied(tmp_path_factory.mktemp("site"))
    built = build(folder)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder / "site"


def test_the_navigation_has_every_page_once():
    assert sorted(pages_of(PROJECT["nav"])) == sorted(path.name for path in DOCS.glob("*.md"))


def test_the_navigation_begins_with_the_topics_in_their_order():
    topics = [name for entry in PROJECT["nav"] for name in entry]
    assert topics[: len(TOPICS)] == TOPICS


@needs_zensical
def test_the_site_is_built_without_a_warning_and_holds_every_page(site):
    for page in pages_of(PROJECT["nav"]):
        assert (site / page).with_suffix(".html").is_file()
    assert not list(site.glob("*.py"))


@needs_zensical
def test_the_reference_documents_the_public_api(site):
    text = (site / "api.html").read_text()
    documented = set(re.findall(r'id="?leapai\.([\w.]+)[">\s]', text))
    assert set(leapai.__all__) - {"__version__"} <= documented
    assert {"Frame.timestamp_us", "Labels.boxes", "Detections.select"} <= documented
    assert "or None: the sensor failed." in text  # the docstring of a field


@needs_zensical
def test_every_page_can_be_searched(site):
    index = (site / "search.js").read_text()
    for page in pages_of(PROJECT["nav"]):
        location = Path(page).with_suffix(".html").name if page != "index.md" else ""
        assert f'"location":"{location}' in index


@needs_zensical
def test_the_site_asks_for_nothing_from_the_network(site):
    files = [path for kind in ("*.html", "*.css") for path in site.rglob(kind)]
    assert {path.name: FROM_NETWORK.findall(path.read_text()) for path in files} == {
        path.name: [] for path in files
    }


@needs_zensical
def test_a_link_to_a_heading_that_does_not_exist_fails_the_build(tmp_path):
    copied(tmp_path)
    for page in (tmp_path / "docs").glob("*.md"):
        page.write_text("# Title\n\n[gone](start.md#gone)\n")
    built = build(tmp_path)
    assert built.returncode != 0
    assert "anchor does not exist" in built.stdout + built.stderr


@pytest.mark.parametrize(
    ("text", "loads"),
    [
        ('<script src="https://x.org/a.js">', True),
        ('<link rel="stylesheet" href="//x.org/a.css">', True),
        ("@font-face { src: url(https://x.org/a.woff) }", True),
        ('<a href="https://x.org">', False),
        ('<script src="assets/a.js">', False),
    ],
)
def test_what_a_browser_would_load_is_recognised(text, loads):
    assert bool(FROM_NETWORK.search(text)) == loads
