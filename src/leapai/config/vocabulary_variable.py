"""The variable `vocabulary` of a configuration: the name of a vocabulary that ships, or a
dictionary that lists one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, SerializationInfo

from leapai.types.vocabulary import STATIC_CLASSES, VOCABULARIES, Vocabulary

KINDS = ("still", "half_turn", "round", "on_foot")
"""Keys, next to `classes` and `map`, that name some of the classes."""
_FORM = (
    '{"classes": {"car": "MOD", "pedestrian": "VRU", "cone": "SOD"}}, with the group of each class'
)


def named_vocabulary(name: str) -> Vocabulary:
    """Returns the vocabulary that ships by that name. Raises ValueError where none does."""
    if name not in VOCABULARIES:
        raise ValueError(
            f"{name!r:.80} is no vocabulary that ships; name one of {', '.join(VOCABULARIES)}, or "
            f"list your own in a task configuration: {_FORM}"
        )
    return VOCABULARIES[name]


def read_vocabulary(value: object) -> Vocabulary:
    """Returns the vocabulary that a configuration names or lists; `still` left out: the classes of
    the group SOD. Raises ValueError, with the remedy, for what is none."""
    if isinstance(value, Vocabulary):
        return value
    if isinstance(value, str):
        return named_vocabulary(value)
    classes = value.get("classes") if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping) or not isinstance(classes, Mapping):
        raise ValueError(
            f"must be one of {', '.join(VOCABULARIES)}, or a dictionary such as {_FORM}"
        )
    unknown = sorted(map(str, set(value) - {"classes", "map", *KINDS}))
    if unknown:
        raise ValueError(
            f"unknown key {unknown[0]!r:.80}; keys are classes, map, {', '.join(KINDS)}"
        )
    return _built(value, classes)


def _built(value: Mapping[str, Any], classes: Mapping[str, Any]) -> Vocabulary:
    still = [name for name, group in classes.items() if group == "SOD"]
    return Vocabulary(
        names=tuple(classes),
        groups=tuple(classes.values()),
        map_classes=_words("map", value.get("map", STATIC_CLASSES)),
        **{kind: _words(kind, value.get(kind, still if kind == "still" else ())) for kind in KINDS},
    )


def _words(key: str, given: object) -> tuple[str, ...]:
    if not isinstance(given, list | tuple) or not all(isinstance(word, str) for word in given):
        raise ValueError(f"{key} = {given!r:.80} must be a list of names")
    return tuple(given)


def as_plain(vocabulary: Vocabulary) -> dict[str, Any]:
    """Returns the dictionary that lists a vocabulary, as configurations and checkpoints hold it."""
    return {
        "classes": dict(zip(vocabulary.names, vocabulary.groups, strict=True)),
        **{kind: list(getattr(vocabulary, kind)) for kind in KINDS},
        "map": list(vocabulary.map_classes),
    }


def _shown(vocabulary: Vocabulary, info: SerializationInfo) -> str | dict[str, Any]:
    """Returns the name of one that ships, for people; files hold what it lists."""
    shipped = (name for name, each in VOCABULARIES.items() if each == vocabulary)
    name = next(shipped, None) if info.mode == "python" else None
    return as_plain(vocabulary) if name is None else name


VocabularyVariable = Annotated[Vocabulary, PlainValidator(read_vocabulary), PlainSerializer(_shown)]
"""Type of the variable: a `Vocabulary` once it is read."""
