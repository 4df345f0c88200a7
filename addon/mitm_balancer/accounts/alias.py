"""Aliases: the names that people give to accounts (behaviour spec 2.1)."""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Container

from mitm_balancer.accounts.model import AccountError

LONGEST = 64
"""The configuration's own limit: names occur in headers, paths and metrics."""

RANDOM_LENGTH, TRIES = 5, 100
"""The seed's own numbers: 60 million aliases."""

_LETTERS = string.ascii_lowercase + string.digits


def normalized(given: str) -> str:
    """The alias as it is stored: lower case; each run of other characters than a-z 0-9 . _ - becomes one hyphen.

    Raises AccountError when nothing is left, or too much.
    """
    found = re.sub(r"[^a-z0-9._-]+", "-", given.strip().lower()).strip("-")
    if not found:
        raise AccountError("Invalid alias: it needs at least one of a-z 0-9 . _")
    if len(found) > LONGEST:
        raise AccountError(f"Invalid alias: {len(found)} characters, at most {LONGEST} are allowed")
    return found


def random_alias(taken: Container[str]) -> str:
    """Five letters or digits that no other account of the provider has."""
    for _ in range(TRIES):
        found = "".join(secrets.choice(_LETTERS) for _ in range(RANDOM_LENGTH))
        if found not in taken:
            return found
    raise AccountError("Could not generate a unique alias: give one with --alias")
