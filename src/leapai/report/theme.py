"""Style of the pages: the style sheet, with a light and a dark set of colours. A drawing names a
colour by its variable, so that it is legible on both."""

from __future__ import annotations

from importlib.resources import files

from markupsafe import Markup

from leapai.pictures.palette import CLASS_COLOURS, CLASS_COLOURS_ON_WHITE, Colour
from leapai.types import CLASS_NAMES

_VARIABLES = {name: f"--class-{name.replace('_', '-')}" for name in CLASS_NAMES}
CLASS_COLOUR_NAMES = {name: f"var({variable})" for name, variable in _VARIABLES.items()}
"""Colour of each class, by name of the class."""
RUN_COLOURS = ("var(--run1)", "var(--run2)")
"""Colours of the first run and of the second."""
FILLS = ("var(--fill1)", "var(--fill2)")
"""Paler colours for areas of the first run, or data set, and of the second."""
MISSED, FALSE = "var(--missed)", "var(--false)"
MEMORY, ROW, IDEAL, COUNTS = "var(--memory)", "var(--row)", "var(--ideal)", "var(--counts)"
OCCLUSION_GREYS = ("", "var(--level1)", "var(--level2)", "var(--level3)")
"""Greys by occlusion level; level 0 is not drawn."""


def page_style() -> Markup:
    """Returns the style sheet of a page, with the colours of the classes."""
    sheet = files("leapai.report").joinpath("page", "style.css").read_text(encoding="utf-8")
    light, dark = (_class_colours(each) for each in (CLASS_COLOURS_ON_WHITE, CLASS_COLOURS))
    return Markup(
        f"{sheet}\n:root {{ {light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
    )


def _class_colours(colours: tuple[Colour, ...]) -> str:
    return " ".join(
        f"{_VARIABLES[name]}: rgb({red} {green} {blue});"
        for name, (red, green, blue) in zip(CLASS_NAMES, colours, strict=True)
    )
