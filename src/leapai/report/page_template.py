"""Filling the templates of the report's pages."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

from leapai.extras import import_extra


def check_templates() -> None:
    """Raises ValueError where jinja2 is not installed."""
    _jinja2()


def filled(template: str, content: Mapping[str, object]) -> str:
    """Returns a page: a template of `leapai/report/page` with its content, of which HTML is
    escaped. Raises ValueError where jinja2 is not installed."""
    jinja2 = _jinja2()
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("leapai.report", "page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    return str(environment.get_template(template).render(content))


def _jinja2() -> ModuleType:
    return import_extra("jinja2", "report", "a report needs jinja2")
