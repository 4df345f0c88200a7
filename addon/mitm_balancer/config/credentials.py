"""Where a secret comes from, as the configuration writes it: in place, or `{env: NAME}` and its like."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from mitm_balancer.config.nodes import BadValueError, Value
from mitm_balancer.config.sources import Command, CredentialSource, Env, File, Keyring, Literal
from mitm_balancer.secrets import Secret

SOURCES = ("env", "file", "command", "keyring")

CREDENTIAL = "a string, or one of {env: NAME}, {file: PATH}, {command: ...}, {keyring: NAME}"
"""What is expected, for errors."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def credential(value: Value, folder: Path) -> CredentialSource:
    """A check. Relative files start at `folder`."""
    # No message here quotes the value or its keys: a credential may stand in the wrong place.
    if not value.is_table:
        if not isinstance(value.scalar(), str) or not str(value.scalar()).strip():
            raise BadValueError(f"expected {CREDENTIAL} (a literal credential goes in quotes)")
        return Literal(Secret(str(value.scalar())))
    pairs = [(str(key.value), Value(node, value.where, value.report)) for key, node in value.node.value]
    if len(pairs) != 1 or pairs[0][0] not in SOURCES:
        raise BadValueError(f"expected exactly one key of {', '.join(SOURCES)}")
    kind, entry = pairs[0]
    if entry.is_null or entry.is_table or not isinstance(entry.scalar(), str) or not str(entry.scalar()).strip():
        raise BadValueError(f"expected a string after {kind}:")
    return _source(kind, str(entry.scalar()).strip(), folder)


def _source(kind: str, given: str, folder: Path) -> CredentialSource:
    match kind:
        case "env":
            if not _VARIABLE.fullmatch(given):
                raise BadValueError("expected the name of an environment variable (letters, digits and _)")
            return Env(given)
        case "file":
            return File(_path(given, folder))
        case "command":
            return Command(_argv(given))
        case _:
            return Keyring(given)


def _path(given: str, folder: Path) -> Path:
    try:
        return folder / Path(given).expanduser()
    except RuntimeError:
        raise BadValueError("expected a path; the home folder after ~ is not known") from None


def _argv(given: str) -> tuple[str, ...]:
    try:
        argv = tuple(shlex.split(given))
    except ValueError:
        argv = ()
    if not argv or "\0" in given:
        raise BadValueError(
            "expected a command line; its quotes do not match (no shell is used: pipes and $NAME do not work)"
        )
    return argv
