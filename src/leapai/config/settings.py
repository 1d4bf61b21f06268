"""`--set section.name=value`: single variables of a configuration changed from the command line."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from leapai.config.problems import ConfigError, one_line
from leapai.config.schema import TaskConfig
from leapai.config.section import Section

OPTION = "--set"
_NO_LITERAL = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)


def with_settings(config: TaskConfig, settings: Sequence[str]) -> TaskConfig:
    """Returns `config` with `settings` such as `evaluation.min_score=0.2`, checked again.

    A value is read as a Python literal, and as a string where it is none. A name may also lead into
    a dictionary (`task_loss_weights.dynamic=1.0`). Of two settings of one variable the later one
    holds. Raises ConfigError, which names the option, for what is no setting, an unknown name, a
    wrong type or a contradiction.
    """
    if not settings:
        return config
    values = config.given()
    for setting in settings:
        path, value = _parsed(setting)
        _check_section(setting, path)
        _check_depth(setting, path, value, config)
        _put(values, config, path, value)
    try:
        return TaskConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{OPTION}: {one_line(error, TaskConfig)}") from None


def check_settings(settings: Sequence[str]) -> None:
    """Raises ConfigError for the first that is no setting, before any configuration is read."""
    for setting in settings:
        _parsed(setting)


def _check_section(setting: str, path: Sequence[str]) -> None:
    """Raises ConfigError where the first part of the name is no variable: the error names what was
    written, and the variable of a section that has that name."""
    first, fields = path[0], TaskConfig.model_fields
    if first in fields:
        return
    inside = [
        f"{section}.{first}"
        for section, field in fields.items()
        if first in getattr(field.annotation, "model_fields", {})
    ]
    nearest = inside or get_close_matches(first, fields, 1, 0.0)
    meant = ".".join([nearest[0], *path[1:]])
    raise ConfigError(f"{OPTION} {setting}: unknown name '{first}'; did you mean {meant}?")


def _check_depth(setting: str, path: Sequence[str], value: object, config: TaskConfig) -> None:
    """Raises ConfigError where a name ends at a section, or goes on behind a variable."""
    current: object = config
    for depth, name in enumerate(path, 1):
        inner = current.get(name) if isinstance(current, dict) else getattr(current, name, None)
        if depth < len(path) and inner is not None and not isinstance(inner, (Section, dict)):
            variable = ".".join(path[:depth])
            raise ConfigError(
                f"{OPTION} {setting}: {variable} = {inner!r} is a variable, which has no parts; "
                f"set it by {OPTION} {variable}={setting.partition('=')[2]}"
            )
        current = inner
    if isinstance(current, Section) and not isinstance(value, dict):
        section, names = ".".join(path), type(current).model_fields
        raise ConfigError(
            f"{OPTION} {setting}: {section} is a section, not a variable; name one of its "
            f"variables, for example {section}.{next(iter(names))}: {', '.join(names)}"
        )


def _parsed(setting: str) -> tuple[list[str], Any]:
    """Returns the parts of the name, and the value."""
    name, equals, text = setting.partition("=")
    path = [part.strip() for part in name.split(".")]
    if not equals or not all(path):
        raise ConfigError(
            f"{OPTION} {setting}: must be SECTION.NAME=VALUE, for example evaluation.min_score=0.2"
        )
    try:
        return path, ast.literal_eval(text.strip())
    except _NO_LITERAL:
        return path, text.strip()


def _put(values: dict[str, Any], current: object, path: Sequence[str], value: object) -> None:
    """Sets one variable in nested dictionaries; `current` is the section or dictionary that
    `values` stand for."""
    name, *rest = path
    if not rest:
        values[name] = value
        return
    inner = current.get(name) if isinstance(current, dict) else getattr(current, name, None)
    if not isinstance(values.get(name), dict):
        values[name] = dict(inner) if isinstance(inner, Mapping) else {}
    _put(values[name], inner, rest, value)
