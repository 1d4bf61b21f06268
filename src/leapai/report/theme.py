"""Style of the pages: the style sheet, with a light and a dark set of colours. A drawing names a
colour by its variable, so that it is legible on both."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib.resources import files

from markupsafe import Markup

from leapai.pictures.palette import CLASS_COLOURS, CLASS_COLOURS_ON_WHITE, Colour
from leapai.types import CLASS_NAMES, Vocabulary

RUN_COLOURS = ("var(--run1)", "var(--run2)")
"""Colours of the first run and of the second."""
FILLS = ("var(--fill1)", "var(--fill2)")
"""Paler colours for areas of the first run, or data set, and of the second."""
MISSED, FALSE = "var(--missed)", "var(--false)"
MEMORY, ROW, IDEAL, COUNTS = "var(--memory)", "var(--row)", "var(--ideal)", "var(--counts)"
OCCLUSION_GREYS = ("", "var(--level1)", "var(--level2)", "var(--level3)")
"""Greys by occlusion level; level 0 is not drawn."""


def class_colour(name: str) -> str:
    """Returns the colour of a class by its name, on a page whose style has it."""
    return f"var({_variable(name)})"


def class_colours(names: Iterable[str]) -> dict[str, str]:
    """Returns the colour of each class by its name."""
    return {name: class_colour(name) for name in names}


def joined_names(vocabularies: Iterable[Vocabulary]) -> tuple[str, ...]:
    """Returns the names of the classes of all vocabularies, each once, in order."""
    return tuple(dict.fromkeys(name for each in vocabularies for name in each.names))


def page_style(names: Sequence[str] = CLASS_NAMES) -> Markup:
    """Returns the style sheet of a page, with the colours of the classes."""
    sheet = files("leapai.report").joinpath("page", "style.css").read_text(encoding="utf-8")
    light, dark = (_values(names, each) for each in (CLASS_COLOURS_ON_WHITE, CLASS_COLOURS))
    return Markup(
        f"{sheet}\n:root {{ {light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
    )


def _variable(name: str) -> str:
    """Returns the variable of a class; names of a vocabulary that differ here are refused there."""
    return f"--class-{re.sub('[_.]', '-', name)}"


def _values(names: Sequence[str], colours: Sequence[Colour]) -> str:
    return " ".join(
        f"{_variable(name)}: rgb({red} {green} {blue});"
        for name, (red, green, blue) in zip(names, colours, strict=False)
    )
