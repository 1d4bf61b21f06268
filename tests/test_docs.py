"""The documentation holds together: links lead somewhere, names and files exist, and citations of
the design name one of its sections."""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.test_layers import ORDER

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^(```|~~~)(\w*)[^\n]*\n(.*?)^\1", re.MULTILINE | re.DOTALL)
CODE_SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
DOTTED = re.compile(r"leapai(?:_world)?(?:\.[A-Za-z_]\w*)+")
FOLDERS = "src|docs|tests|tools|benchmarks|projects"
PATH = re.compile(rf"(?<![\w/.-])(?:{FOLDERS})/[\w./-]*\.(?:py|md|toml|json)(?![\w*{{])")
SHORT_PATH = re.compile(r"(?:\w+/)+\w+\.py")
"""A file of the package, named from its room on: `training/losses.py`."""
EXAMPLES = {"projects/perception/configs/tiny_camera_only.py"}
"""Files that a page tells the reader to write."""
SOURCES = ("src", "tests", "docs", "projects", "benchmarks", "tools")
CITATION = re.compile(r"docs/design\.md,\s+(?:# )?sections?\s+(?:# )?(\d+)(?:\s+and\s+(\d+))?")
OLD_CITATION = re.compile(r"(?<![\w/.])[Dd]esign,?\s+(?:# )?\(?sections?\s+(?:# )?\d")
DESIGN_SECTIONS = 13


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def pages(test):
    """Runs a test for every page of the documentation."""
    return pytest.mark.parametrize("page", PAGES, ids=relative)(test)


def prose(text: str) -> str:
    """Returns a page without its blocks of code."""
    return FENCE.sub("", text)


def anchors(text: str) -> set[str]:
    """Returns the anchors of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ +(.+?) *#*$", prose(text), re.MULTILINE):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        number = 1
        while (slug if number == 1 else f"{slug}-{number - 1}") in found:
            number += 1
        found.add(slug if number == 1 else f"{slug}-{number - 1}")
    return found


def broken_links(page: Path) -> list[str]:
    """Returns the links of a page to files or headings that do not exist."""
    found = []
    for target in LINK.findall(prose(page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or (anchor and anchor not in anchors(path.read_text())):
            found.append(target)
    return found


@pages
def test_links_lead_somewhere(page):
    assert broken_links(page) == []


@cache
def entry_point_groups() -> set[str]:
    """Returns the groups of entry points: names with dots that are no modules."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return set(project.get("entry-points", {}))


def resolves(name: str) -> bool:
    """Reports whether a dotted name is a module, or something in one."""
    parts = name.split(".")
    count = max(n for n in range(1, len(parts) + 1) if n == 1 or source_of(parts[:n]))
    try:
        found: Any = importlib.import_module(".".join(parts[:count]))
    except ModuleNotFoundError:  # of an extra that is not installed
        tree = ast.parse((source_of(parts[:count]) or ROOT).read_text())
        defined = {getattr(node, "name", None) for node in tree.body}
        return count == len(parts) or parts[count] in defined
    for part in parts[count:]:
        found = member(found, part)
    return found is not None


def source_of(parts: list[str]) -> Path | None:
    """Returns the file of a module; None: there is none."""
    place = ROOT.joinpath("src", *parts)
    files = (place / "__init__.py", place.with_suffix(".py"))
    return next((path for path in files if path.exists()), None)


def member(owner: Any, name: str) -> Any:
    """Returns an attribute, or the annotation of a field without a default; None: neither."""
    found = getattr(owner, name, None)
    return found if found is not None else getattr(owner, "__annotations__", {}).get(name)


def dotted_names(text: str) -> set[str]:
    """Returns the dotted names of the packages in code spans, and what code blocks import."""
    found = set()
    for span in CODE_SPAN.findall(prose(text)):
        found |= set(DOTTED.findall(re.sub(r"\"[^\"]*\"", "", span)))
    for _, language, block in FENCE.findall(text):
        if language == "python":
            for module, names in re.findall(
                r"^from (leapai[\w.]*) import \(?([\w, ]+)", block, re.M
            ):
                found |= {f"{module}.{name.strip()}" for name in names.split(",") if name.strip()}
    return found


@pages
def test_names_of_the_package_exist(page):
    names = dotted_names(page.read_text()) - entry_point_groups()
    assert sorted(name for name in names if not resolves(name)) == []


def named_files(text: str) -> set[str]:
    """Returns the files of the repository that a page names, in prose and in commands."""
    without_links = LINK.sub("]", text)
    found = set(PATH.findall(without_links))
    for span in CODE_SPAN.findall(prose(without_links)):
        if SHORT_PATH.fullmatch(span):
            found.add(span)
    return found


def is_there(name: str) -> bool:
    """Reports whether a file exists, in the repository or in a package."""
    places = (ROOT, ROOT / "src", ROOT / "src" / "leapai", ROOT / "src" / "leapai_world")
    return any((place / name).exists() for place in places)


@pages
def test_files_that_are_named_exist(page):
    names = named_files(page.read_text()) - EXAMPLES
    assert sorted(name for name in names if not is_there(name)) == []


def test_every_page_is_reached_from_the_readme():
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            names = [target.partition("#")[0] for target in LINK.findall(page.read_text())]
            linked = [(page.parent / name).resolve() for name in names if name.endswith(".md")]
            waiting += [path for path in linked if path.exists()]
    assert sorted(map(relative, set(PAGES) - reached)) == []


def test_the_architecture_lists_the_rooms_in_their_order():
    text = (ROOT / "docs" / "architecture.md").read_text()
    section = text.split("\n## Rooms\n")[1].split("\n## ")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == ORDER


@cache
def citing_files() -> dict[str, str]:
    """Returns the text of every file that may cite the design, by its path."""
    paths = [path for folder in SOURCES for path in (ROOT / folder).rglob("*")]
    return {
        relative(path): path.read_text()
        for path in [*paths, ROOT / "README.md"]
        if path.suffix in (".py", ".md") and path != Path(__file__).resolve()
    }


def design_sections() -> set[int]:
    text = (ROOT / "docs" / "design.md").read_text()
    return {int(number) for number in re.findall(r"^## (\d+)\. ", text, re.MULTILINE)}


def test_the_design_has_all_its_sections():
    assert design_sections() == set(range(1, DESIGN_SECTIONS + 1))


def test_citations_of_the_design_name_sections_that_exist():
    cited = [
        (path, int(number))
        for path, text in citing_files().items()
        for numbers in CITATION.findall(text)
        for number in numbers
        if number
    ]
    assert len(cited) > DESIGN_SECTIONS
    sections = design_sections()
    assert [citation for citation in cited if citation[1] not in sections] == []


def test_citations_of_the_design_name_the_page():
    old = {path: OLD_CITATION.findall(text) for path, text in citing_files().items()}
    assert {path: found for path, found in old.items() if found} == {}


def test_links_to_missing_files_and_headings_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# Two words, `code` & more\n## Same\n## Same\n"
        "[a](#two-words-code--more) [b](#same-1) [c](#same-2) [d](other.md) [e](https://x.org)\n"
        "```\n# no heading\n[f](gone.md)\n```\n[g](#no-heading)"
    )
    assert broken_links(page) == ["#same-2", "other.md", "#no-heading"]


def test_names_that_do_not_exist_are_found():
    text = '`leapai.types.Frame` `leapai.load("a.ckpt")` `leapai.types.Nothing.more`'
    text += "\n```python\nfrom leapai.geometry import boxes, gone\n```\n"
    names = dotted_names(text)
    assert names == {
        "leapai.types.Frame", "leapai.load", "leapai.types.Nothing.more",
        "leapai.geometry.boxes", "leapai.geometry.gone",
    }  # fmt: skip
    assert {name for name in names if not resolves(name)} == {
        "leapai.types.Nothing.more", "leapai.geometry.gone",
    }  # fmt: skip


def test_fields_without_a_default_count_as_names():
    assert resolves("leapai.types.Frame.timestamp_us")
    assert not resolves("leapai.types.Frame.timestamp_ns")


def test_files_are_found_in_prose_and_commands():
    text = (
        "`training/losses.py`, [x](docs/gone.md)\n```\npython benchmarks/bench.py docs/*.py\n```\n"
    )
    assert named_files(text) == {"training/losses.py", "benchmarks/bench.py"}


@pytest.mark.parametrize(
    ("text", "old"),
    [
        ("(design, section 7)", True),
        ("the design (section 11)", True),
        ("(design,\n    section 6)", True),
        ("(docs/design.md, section 7)", False),
        ("by design", False),
    ],
)
def test_the_old_form_of_a_citation_is_recognised(text, old):
    assert (OLD_CITATION.search(text) is not None) == old


def test_the_program_that_makes_the_pictures_finds_what_it_imports(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    assert callable(importlib.import_module("make_figures").main)
