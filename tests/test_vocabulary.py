"""One vocabulary: code, docs and outputs speak the language of the field.

Each rule names a word that is banned, what stands in its place, and where it holds. Identifiers
are split into their parts (`LaneWalks`, `lane_walks`: lane, walks); prose is the text of
docstrings, comments, Markdown and strings that a user reads. What keeps a banned word because
files of users hold it is listed below with the reason.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NAME_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
EVERYWHERE = ("*",)
CODE = ("src/*", "benchmarks/*", "docs/*.py", "projects/*", "tools/*")
LEAPAI = ("src/leapai/*",)
WORLD = ("src/leapai_world/*",)
NETWORK = ("src/leapai/models/*", "src/leapai/training/*", "src/leapai/streaming/*")
STREAMS = (*NETWORK, "src/leapai/data/samplers.py")


@dataclass(frozen=True)
class Rule:
    """A banned word and what stands in its place."""

    words: tuple[str, ...]
    """Parts of identifiers, or patterns of prose."""
    instead: str
    where: tuple[str, ...] = EVERYWHERE
    """Patterns of paths, relative to the repository."""


@dataclass(frozen=True)
class Identifier:
    """A name in the source."""

    line: int
    text: str
    is_member: bool
    """An attribute, a field of a class or a keyword of a call."""


IDENTIFIERS = (
    Rule(("said", "says"), "predictions (raw), detections (decoded)"),
    Rule(("truth", "truths"), "gt"),  # `ground_truth` is fine
    Rule(("figures",), "metrics", (*LEAPAI, *WORLD, "benchmarks/*")),  # pictures: `docs/figures`
    Rule(("judge", "judges", "judged", "judging"), "evaluator, matcher, evaluate, matched"),
    Rule(("lane", "lanes"), "stream", STREAMS),  # `lane_markings` is fine
    Rule(("lane", "lanes"), "threshold", ("src/leapai/evaluation/tracking/*",)),
    Rule(("lane", "lanes"), "row", ("src/leapai/report/*",)),
    Rule(("recalled", "recollection"), "read, MemoryReadout, AttentionReadout"),
    Rule(("Remembered",), "NewSlots"),
    Rule(("recall",), "read", ("src/leapai/models/*",)),
    Rule(("object_id",), "track_id", NETWORK),
    Rule(("noisy",), "denoising", LEAPAI),
    Rule(("told",), "calibration_error, reported"),
    Rule(("dealt", "share_from_first", "gather_to_first"), "shard, broadcast, gather"),
    Rule(("remarks", "outcome", "outcomes"), "warnings, SequenceResult"),
    Rule(("life", "lives"), "timelines, ObjectTimeline"),
    Rule(("steadiness", "flips"), "temporal consistency, flicker"),
    Rule(("Visit", "LaneWalks", "_Round"), "SampleRef, SequenceSampler, EpochPlan"),
    Rule(("trust",), "gate"),
    Rule(("road",), "map", LEAPAI),  # `road_elements` is fine
    Rule(("drive", "drives"), "sequence", LEAPAI),
    Rule(("drive",), "sequence", WORLD),
    Rule(("cast", "crew"), "actors, agents", WORLD),
    Rule(("stage", "stages"), "scene", WORLD),
    Rule(("gallery",), "mesh library", WORLD),
    Rule(("course",), "ego path", WORLD),
    Rule(("limbs",), "gait", WORLD),
    Rule(("knots",), "trajectory samples", WORLD),
    Rule(("keepers",), "collision filter", WORLD),
    Rule(("spokesman", "spokesmen"), "representative", WORLD),
    Rule(("lots",), "parking lots", WORLD),  # `parking_lots` is fine
    Rule(("sensed",), "observation", WORLD),
    Rule(("alone",), "unoccluded", WORLD),
)
FINE = (
    "ground_truth", "GroundTruth", "lane_mark", "LANE_MARK", "LaneMark", "road_element",
    "ROAD_ELEMENT", "RoadElement", "road_edge", "road_divider", "ROAD_DIVIDER", "parking_lots",
    "ParkingLots", "cast_ray",
)  # fmt: skip
"""Standard terms that hold a banned word."""
EXCEPTIONS = {
    "trust": ("src/leapai/models/dynamic/*", "a module's name in checkpoints"),
    "noisy_query": ("src/leapai/models/*", "a module's name in checkpoints"),
    "truths": ("src/leapai/*", "a key of metrics.json"),
    "untracked_truths": ("src/leapai/*", "a key of metrics.json"),
    "class_flips": ("src/leapai/*", "a key of metrics.json"),
    "occlusion_flips": ("src/leapai/*", "a key of metrics.json"),
    "said_m": ("src/leapai/*", "a key of metrics.json"),
    "life_s": ("src/leapai/*", "a column of instances.parquet"),
    "road": ("src/leapai/*", "a key of metrics.json"),
    "steadiness_weight": ("src/leapai/*", "a variable of task configurations"),
    "drive": ("src/leapai/cli/*", "an option of the command line"),
}
"""Attributes, fields and keywords -> where they keep a banned word, and why. Names of variables,
functions, classes and modules have no exceptions."""

PROSE = (
    Rule((r"sa(?:ys|id)",), "predicts, reports, states"),
    Rule((r"truths?",), "ground truth"),
    Rule((r"(?<![/_])figures(?![/_])",), "metrics (numbers), pictures"),
    Rule((r"judg(?:e|es|ed|ing|ement)",), "evaluator, evaluate, matched"),
    Rule((r"lanes?(?! marking)",), "stream", (*STREAMS, "docs/memory.md", "docs/training.md")),
    Rule((r"recalled", r"recollections?"), "read, readout"),
    Rule((r"noisy quer(?:y|ies)",), "denoising queries"),
    Rule((r"told", r"tells"), "reports"),
    Rule((r"knows",), "has"),
    Rule((r"dealt",), "sharded"),
    Rule((r"remarks",), "warnings"),
    Rule((r"steadiness",), "temporal consistency"),
    Rule((r"dear",), "expensive"),
    Rule((r"mend(?:s|ed|ing)?",), "fix"),
    Rule((r"worth",), "value"),
    Rule((r"wanted",), "required"),
    Rule((r"beside",), "next to, in addition to"),
    Rule((r"crews?", r"limbs?", r"knots?", r"spokesm[ae]n", r"keepers?"), "see above", WORLD),
)
EXEMPT_TEXTS = ("src/leapai/config/*",)
"""Messages of configurations are public and stay as they are."""
GROUND_TRUTH = re.compile(r"ground[\s#-]+truth", re.IGNORECASE)
CODE_SPAN = re.compile(r"``.+?``|`[^`\n]*`|\]\([^)]*\)|https?://\S+")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


def names_of(path: str) -> str:
    """Returns the room of a file: `src/leapai/models`, `docs`, `README.md`."""
    parts = path.split("/")
    return "/".join(parts[:3] if len(parts) > 3 else parts[:2] if parts[0] == "src" else parts[:1])


def files_checked() -> list[str]:
    """Returns the paths of all files under these rules, relative to the repository."""
    found = list(ROOT.glob("*.md"))
    for folder in ("src", "docs", "benchmarks", "projects", "tools"):
        found += [path for kind in ("*.py", "*.md") for path in (ROOT / folder).rglob(kind)]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


FILES = files_checked()
ROOMS = sorted({names_of(path) for path in FILES})


def parts_of(identifier: str) -> set[str]:
    """Returns the words of an identifier in lower case, and the whole as it is."""
    for term in FINE:
        identifier = identifier.replace(term, "")
    return {identifier, *(part.lower() for part in NAME_PART.findall(identifier))}


def identifier_faults(path: str, identifiers: Iterable[Identifier]) -> Iterator[str]:
    """Yields `file:line word -> replacement` for each identifier with a banned part."""
    rules = [rule for rule in IDENTIFIERS if holds(rule.where, path)]
    for identifier in identifiers:
        place, _ = EXCEPTIONS.get(identifier.text, ("", ""))
        if identifier.is_member and place and fnmatch(path, place):
            continue
        parts = parts_of(identifier.text)
        for rule in rules:
            if not parts.isdisjoint(rule.words):
                yield f"{path}:{identifier.line} {identifier.text} -> {rule.instead}"


def prose_faults(path: str, texts: Iterable[tuple[int, str]]) -> Iterator[str]:
    """Yields `file:line word -> replacement` for each banned word in texts that begin at lines."""
    rules = [
        (re.compile(rf"(?i:(?<!\w){word}(?!\w))" if "lane" not in word else rf"\b{word}\b"), rule)
        for rule in PROSE
        if holds(rule.where, path)
        for word in rule.words
    ]
    for first, text in texts:
        plain = without_code(text)
        for pattern, rule in rules:
            for match in pattern.finditer(plain):
                line = first + plain.count("\n", 0, match.start())
                yield f"{path}:{line} {match[0]} -> {rule.instead}"


def without_code(text: str) -> str:
    """Returns a text with code, links and the term ground truth blanked out, lines as they are."""
    for pattern in (FENCE, CODE_SPAN, GROUND_TRUTH):
        text = pattern.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
    return text


def holds(where: tuple[str, ...], path: str) -> bool:
    """Reports whether a path matches one of the patterns."""
    return any(fnmatch(path, pattern) for pattern in where)


@cache
def tree_of(path: str) -> ast.Module:
    """Returns the syntax tree of a file."""
    return ast.parse((ROOT / path).read_text())


def identifiers_in(path: str) -> list[Identifier]:
    """Returns every identifier of a file, its own name first."""
    tree = tree_of(path)
    fields = {
        id(statement.target)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for statement in node.body
        if isinstance(statement, ast.AnnAssign)
    }
    found = [Identifier(1, Path(path).stem, False)]
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 1)
        if isinstance(node, ast.Name):
            found.append(Identifier(line, node.id, id(node) in fields))
        elif isinstance(node, ast.Attribute):
            found.append(Identifier(line, node.attr, True))
        elif isinstance(node, ast.keyword) and node.arg:
            found.append(Identifier(line, node.arg, True))
        elif isinstance(node, ast.arg):
            found.append(Identifier(line, node.arg, False))
        elif isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            found.append(Identifier(line, node.name, False))
        elif isinstance(node, ast.alias):
            names = (*node.name.split("."), node.asname or "")
            found += [Identifier(line, name, False) for name in names]
    return found


def comments_in(path: str) -> list[tuple[int, str]]:
    """Returns the line and the text of every comment of a file."""
    tokens = tokenize.generate_tokens(io.StringIO((ROOT / path).read_text()).readline)
    return [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]


@dataclass(frozen=True)
class Docstring:
    """A string that stands alone: below a definition, or below an attribute."""

    line: int
    text: str
    of_attribute: bool


def docstrings_in(tree: ast.Module) -> list[Docstring]:
    """Returns all strings that stand alone, in the order of their lines."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        for number, statement in enumerate(node.body):
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                value = statement.value.value
                if isinstance(value, str):
                    of_attribute = number > 0 or is_property(node)
                    found.append(Docstring(statement.lineno, value, of_attribute))
    return sorted(found, key=lambda docstring: docstring.line)


def is_property(node: ast.AST) -> bool:
    """Reports whether a function is read like an attribute."""
    decorators = getattr(node, "decorator_list", ())
    return any("property" in ast.unparse(decorator) for decorator in decorators)


def texts_in(tree: ast.Module) -> list[tuple[int, str]]:
    """Returns the strings of several words that are no docstrings: what a user may read."""
    standing_alone = {docstring.line for docstring in docstrings_in(tree)}
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and " " in node.value.strip()
        and node.lineno not in standing_alone
    ]


PREPOSITIONS = {
    "about", "at", "before", "after", "below", "beyond", "for", "from", "in", "on", "to", "where",
    "with", "without", "within",
}  # fmt: skip
NEVER_FIRST = {"as", "of", "by", "beside", "which", "that", "what", "and", "or", "than"}
SHORT = 25


def docstring_fault(text: str, of_attribute: bool = False) -> str | None:
    """Returns what is wrong with a docstring: it is a fragment, or too short to stand alone."""
    sentence = " ".join(text.split())
    first = re.match(r"[A-Za-z']+", sentence)
    word = first[0].lower() if first else ""
    if word in NEVER_FIRST:
        return f"begins with {word!r}"
    if word in PREPOSITIONS and not is_sentence(sentence.split(". ")[0], word):
        return f"is a fragment that begins with {word!r}"
    if not of_attribute and len(sentence) < SHORT and not verb_first(sentence):
        return f"has {len(sentence)} characters and no verb"
    return None


def is_sentence(sentence: str, first: str) -> bool:
    """Reports whether words that begin with a preposition seem to be a whole sentence."""
    has_verb = re.search(r" (?:is|are|was|were|has|have|makes?|gets?|gives?) ", sentence)
    return "," in sentence or (has_verb is not None and first != "where")


def verb_first(sentence: str) -> bool:
    """Reports whether a sentence begins with a verb: `Writes it.`, but not `Boxes of it.`"""
    return re.match(r"[A-Z][a-z]*s (?!of\b|by\b|that\b|which\b|with\b)\S", sentence) is not None


def python_files(room: str) -> list[str]:
    """Returns the source files of a room."""
    return [path for path in FILES if names_of(path) == room and path.endswith(".py")]


def report(faults: Iterable[str]) -> None:
    """Fails with one line for each fault."""
    found = sorted(set(faults))
    assert not found, f"{len(found)} places\n" + "\n".join(found)


@pytest.mark.parametrize("room", ROOMS)
def test_identifiers_are_words_of_the_field(room):
    faults = (identifier_faults(path, identifiers_in(path)) for path in python_files(room))
    report(fault for of_file in faults for fault in of_file)


@pytest.mark.parametrize("room", ROOMS)
def test_docstrings_and_comments_use_words_of_the_field(room):
    faults: list[str] = []
    for path in python_files(room):
        docstrings = [(found.line, found.text) for found in docstrings_in(tree_of(path))]
        faults += prose_faults(path, [*docstrings, *comments_in(path)])
    report(faults)


@pytest.mark.parametrize("room", ROOMS)
def test_texts_that_a_user_reads_use_words_of_the_field(room):
    faults: list[str] = []
    for path in python_files(room):
        if not holds(EXEMPT_TEXTS, path):
            faults += prose_faults(path, texts_in(tree_of(path)))
    report(faults)


@pytest.mark.parametrize("path", [path for path in FILES if path.endswith(".md")])
def test_pages_use_words_of_the_field(path):
    report(prose_faults(path, [(1, (ROOT / path).read_text())]))


@pytest.mark.parametrize("room", ROOMS)
def test_docstrings_stand_alone(room):
    faults = []
    for path in python_files(room):
        for docstring in docstrings_in(tree_of(path)):
            fault = docstring_fault(docstring.text, docstring.of_attribute)
            if fault:
                faults.append(f"{path}:{docstring.line} {docstring.text[:50]!r} {fault}")
    report(faults)


@pytest.mark.parametrize("identifier", sorted(EXCEPTIONS))
def test_every_exception_is_in_use(identifier):
    place, _ = EXCEPTIONS[identifier]
    paths = [path for path in FILES if path.endswith(".py") and fnmatch(path, place)]
    names = {found.text for path in paths for found in identifiers_in(path) if found.is_member}
    assert identifier in names


@pytest.mark.parametrize(
    ("identifier", "banned"),
    [
        ("said_mps", "said"),
        ("TruthTable", "truth"),
        ("LaneWalks", "lane"),
        ("ground_truth", None),
        ("GroundTruthLog", None),
        ("lane_markings", None),
        ("cast_rays", None),
        ("_Round", "_Round"),
        ("round", None),
        ("unsaid", None),
    ],
)
def test_identifiers_are_split_into_words(identifier, banned):
    words = {word for rule in IDENTIFIERS for word in rule.words}
    found = parts_of(identifier) & words
    assert banned in found if banned else not found


def test_exceptions_hold_for_members_alone():
    path = "src/leapai/evaluation/results.py"
    assert not list(identifier_faults(path, [Identifier(3, "truths", True)]))
    assert list(identifier_faults(path, [Identifier(3, "truths", False)])) == [
        f"{path}:3 truths -> gt"
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The network says nothing of truth.", ["says", "truth"]),
        ("The ground truth and a `said` variable.", []),
        ("Ground\n    truth of one frame.", []),
        ("See [the figures](figures/map.png) there.", ["figures"]),
        ("```\nthe judge said\n```\nBesides, it is noteworthy.", []),
        ("First line,\nthen what is wanted.", ["wanted"]),
    ],
)
def test_prose_is_searched_outside_code(text, words):
    found = [fault.split()[1] for fault in prose_faults("docs/page.md", [(1, text)])]
    assert found == words


def test_faults_name_the_line():
    assert list(prose_faults("docs/page.md", [(7, "One.\nTwo is dear.")])) == [
        "docs/page.md:8 dear -> expensive"
    ]


@pytest.mark.parametrize(
    ("text", "of_attribute", "fine"),
    [
        ("Of one drive.", False, False),
        ("Of each drive; None: all.", True, False),
        ("As the evaluator has it.", False, False),
        ("What a run needs to start.", False, False),
        ("By class: radius in metres.", True, False),
        ("With the same weights as before.", False, False),
        ("In training, the best 20 are always stored.", False, True),
        ("With a canvas of 784 pixels this makes 1920.", True, True),
        ("Where the cells of the grid are.", True, False),
        ("Boxes of a frame.", False, False),
        ("A run.", False, False),
        ("Writes the table.", False, True),
        ("Returns it.", False, True),
        ("[N, 3] metres, ego frame.", True, True),
        ("Metres.", True, True),
        ("Ground-truth boxes of one frame [N, 7], ego frame.", False, True),
        ("Officially released weights.", False, True),
    ],
)
def test_fragments_are_recognised(text, of_attribute, fine):
    assert (docstring_fault(text, of_attribute) is None) == fine
