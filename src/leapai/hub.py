"""Weights on a model hub, named `hf://OWNER/NAME@REVISION`: fetched, and checked before anything
reads them.

A repository holds the weights and a list of digests, as `leapai export --format hub` writes them.
Both are fetched from one commit, and weights that do not have their digest are refused. Digests
reveal damage, and weights that were replaced alone; they do not prove who published them. A commit
as the revision does pin every byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from leapai.extras import import_extra
from leapai.io import printable, sha256_of

WEIGHTS = "model.safetensors"
"""Name of a checkpoint in a repository of a hub."""
DIGESTS = "SHA256SUMS"
"""Name of the list of digests, in the format of the command sha256sum."""
FORM = "hf://OWNER/NAME@REVISION"
LARGEST_LIST = 1 << 16
"""Bytes of a list of digests at most."""
_PREFIX = re.compile(r"hf:/{1,2}")
"""A `Path` keeps one of the two slashes."""
_REPOSITORY = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!\.)){0,95}")
_REVISION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_/-]|\.(?!\.)){0,254}")
_DIGEST = re.compile(r"(?P<digest>[0-9a-f]{64}) [ *](?P<name>.+)")


@dataclass(frozen=True)
class HubName:
    """The name of weights on a hub."""

    repository: str
    """OWNER/NAME."""
    revision: str
    """A branch, a tag or a commit."""

    def __str__(self) -> str:
        return f"hf://{self.repository}@{self.revision}"


def is_hub_name(source: str | Path) -> bool:
    """Returns whether a checkpoint is named on a hub."""
    return _PREFIX.match(str(source)) is not None


def hub_name(source: str | Path) -> HubName:
    """Returns the name of weights on a hub; without a revision, of the branch `main`.

    Raises ValueError where it is not of the form `hf://OWNER/NAME@REVISION`.
    """
    repository, at, revision = _PREFIX.sub("", str(source), count=1).partition("@")
    if at and not _REVISION.fullmatch(revision):
        raise ValueError(
            f"{printable(str(source))[:200]}: the revision must be a branch, a tag or a commit; "
            f"name weights as {FORM}"
        )
    return HubName(checked_repository(repository), revision if at else "main")


def checked_repository(name: str) -> str:
    """Returns the name of a repository of a hub. Raises ValueError where it is not OWNER/NAME."""
    parts = name.split("/")
    if len(parts) != 2 or not all(_REPOSITORY.fullmatch(part) for part in parts):
        raise ValueError(
            f"{printable(name)[:200]!r}: a repository of the hub is named OWNER/NAME, of letters, "
            f"digits, '-', '_' and '.'; name weights as {FORM}"
        )
    return name


@cache
def fetched(name: HubName) -> Path:
    """Returns the weights as a file of this machine, of the client's cache where they are there.

    A process fetches a name once, so a branch that moves meanwhile changes nothing. The folder of
    the file is named by the commit. Raises MissingExtraError without the client, ValueError for a
    repository without such files or weights of another digest, and OSError where the hub does not
    answer.
    """
    client = import_extra("huggingface_hub", "hub", f"weights at {FORM} need huggingface_hub")
    with _named_errors(name):
        digests = Path(client.hf_hub_download(name.repository, DIGESTS, revision=name.revision))
        listed = read_digests(digests).get(WEIGHTS)
        if listed is None:
            raise ValueError(
                f"{name}: {DIGESTS} lists no digest of {WEIGHTS}; its owner writes one with "
                "`leapai export --format hub`"
            )
        commit = digests.parent.name
        weights = Path(client.hf_hub_download(name.repository, WEIGHTS, revision=commit))
    _check_digest(name, weights, listed)
    return weights


def _check_digest(name: HubName, weights: Path, listed: str) -> None:
    """Raises ValueError where weights do not have the digest that their repository lists."""
    digest = sha256_of(weights)
    if digest != listed:
        raise ValueError(
            f"{name}: {weights} has the SHA-256 {digest}, and {DIGESTS} lists {listed}: it was "
            f"damaged or replaced, and is not read. Delete {weights.resolve()} and try again; if "
            "this happens again, tell the owner of the repository"
        )


def read_digests(path: Path) -> dict[str, str]:
    """Reads a list of digests: name of a file -> SHA-256.

    Raises ValueError where it is none.
    """
    with path.open("rb") as file:
        content = file.read(LARGEST_LIST + 1)
    lines = content.decode("utf-8", "replace").splitlines()
    found = [_DIGEST.fullmatch(line) for line in lines]
    if len(content) > LARGEST_LIST or not all(found):
        raise ValueError(f"{path}: is no list of digests as `sha256sum` writes it")
    return {match["name"]: match["digest"] for match in found if match}


@contextmanager
def _named_errors(name: HubName) -> Iterator[None]:
    """Lets the errors of the client name the weights and the remedy."""
    errors: Any = import_extra("huggingface_hub.errors", "hub", "a hub needs huggingface_hub")
    try:
        yield
    except errors.GatedRepoError as error:
        raise ValueError(
            f"{name}: its owner must grant access: ask for it on the hub's page, then log in with "
            "`hf auth login`"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise ValueError(
            f"{name}: the hub has no such repository, or it is private: check the name, or log in "
            "with `hf auth login`"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ValueError(
            f"{name}: the repository has no revision '{name.revision}'; name a branch, a tag or a "
            "commit of it"
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise OSError(
            f"{name}: the hub does not answer, and this machine has no copy of these files; fetch "
            f"them where there is a network, with `hf download {name.repository} --revision "
            f"{name.revision}`, and take the folder or HF_HOME along, or name a file"
        ) from error
    except errors.EntryNotFoundError as error:
        raise ValueError(
            f"{name}: the repository lacks {WEIGHTS} or {DIGESTS}, which `leapai export --format "
            "hub` writes; is it a network of leapai?"
        ) from error
    except errors.HTTPError as error:  # of the client's HTTP library, and the client's own
        reason = printable((str(error).splitlines() or [type(error).__name__])[0])
        raise OSError(
            f"{name}: the hub answers with an error; try again later: {reason}"
        ) from error
