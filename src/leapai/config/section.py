"""The base class of every section of the schema."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from leapai.config.problems import ConfigError, one_line

Probability = Annotated[float, Field(ge=0, le=1)]
Steps = Annotated[int, Field(ge=0, le=1_000_000_000)]
"""A number of steps; a billion are decades of training."""
Text = Annotated[str, Field(max_length=4096)]
"""A path, or the name of data: the longest path that Linux takes."""


def _plain(name: str) -> str:
    if not re.fullmatch(r"\w[\w.+-]{0,119}", name):
        raise ValueError(
            f"{name!r:.80} must be a plain name of at most 120 letters, digits, _, -, + and ., "
            "without folders"
        )
    return name


PlainName = Annotated[str, AfterValidator(_plain)]
"""A name that may become that of a folder, so it leads nowhere else."""


def tuple_of_list(value: object) -> object:
    """Returns a list as a tuple, and anything else as it is: a file may write either."""
    return tuple(value) if isinstance(value, list) else value


class Section(BaseModel):
    """A part of the configuration: typed strictly, unknown names refused, values fixed once
    read."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    def given(self) -> dict[str, Any]:
        """Returns the variables that were set, without defaults and derived values, sections as
        dictionaries."""
        return self.model_dump(exclude_unset=True)

    def replace(self, **changes: object) -> Self:
        """Returns a copy with `changes`, checked again.

        A dictionary for a section changes the fields that it names and keeps the others, at any
        depth; every other value, dictionaries such as `task_loss_weights` included, is replaced as
        a whole. Raises ConfigError for an unknown name, a wrong type or a contradiction.
        """
        try:
            return type(self).model_validate(_merged(type(self), self.given(), changes))
        except ValidationError as error:
            raise ConfigError(one_line(error, type(self))) from None


def _merged(
    schema: type[BaseModel], values: Mapping[str, Any], changes: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns `values` of a section with `changes`, section by section."""
    merged = dict(values)
    for name, change in changes.items():
        section = _section_type(schema, name)
        if section is None or not isinstance(change, Mapping):
            merged[name] = change
        else:
            merged[name] = _merged(section, merged.get(name, {}), change)
    return merged


def _section_type(schema: type[BaseModel], name: str) -> type[BaseModel] | None:
    """Returns the type of the field `name` where it is a section of its own."""
    field = schema.model_fields.get(name)
    options = () if field is None else (field.annotation, *get_args(field.annotation))
    found = (t for t in options if isinstance(t, type) and issubclass(t, Section))
    return next(found, None)
