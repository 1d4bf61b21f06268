"""The program of the README works as it stands there, and the Chinese README is the same page."""

import re
from pathlib import Path

import pytest

from leapai.data.log import open_logs

ROOT = Path(__file__).parents[1]
README, CHINESE = ((ROOT / name).read_text() for name in ("README.md", "README.zh-CN.md"))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(?<![A-Za-z\d.])\d+(?:\.\d+)?")


@pytest.mark.parametrize("text", [README, CHINESE], ids=["english", "chinese"])
def test_the_program_of_the_readme_runs(text, monkeypatch):
    (program,) = [block for language, block in FENCE.findall(text) if language == "python"]
    monkeypatch.chdir(ROOT)
    names = {"drive": list(open_logs("synthetic:frames=2", image_size_px=(128, 240))[0])}
    exec(program, names)
    assert names["detections"].timestamp_us == names["drive"][-1].timestamp_us


def commands(text: str) -> list[str]:
    """Returns the lines of all blocks of code, without comments."""
    lines = [line for _, block in FENCE.findall(text) for line in block.splitlines()]
    return [re.sub(r"\s*#.*", "", line) for line in lines]


def rows(text: str) -> list[list[str]]:
    """Returns the numbers of each row of the tables."""
    return [NUMBER.findall(line) for line in text.splitlines() if line.startswith("|")]


def links(text: str) -> list[str]:
    """Returns where the links of a page lead, apart from the other language."""
    return [target for target in re.findall(r"\]\(([^)]+)\)", text) if "README" not in target]


def sections(text: str) -> list[str]:
    """Returns the text below each heading of second level, and that above the first one."""
    return FENCE.sub("", text).split("\n## ")


@pytest.mark.parametrize("part", [commands, rows, links], ids=lambda part: part.__name__)
def test_the_chinese_readme_is_the_same_page(part):
    assert len(part(README)) > 10
    assert part(CHINESE) == part(README)


def test_the_chinese_readme_has_the_same_numbers_in_each_section():
    english, chinese = sections(README), sections(CHINESE)
    assert len(english) == len(chinese)
    for ours, theirs in zip(english, chinese, strict=True):
        assert {n for n in NUMBER.findall(ours) if "." in n} == {
            n for n in NUMBER.findall(theirs) if "." in n
        }


def test_both_languages_lead_to_each_other():
    assert "](README.zh-CN.md)" in README.split("\n## ")[0]
    assert "](README.md)" in CHINESE.split("\n## ")[0]
