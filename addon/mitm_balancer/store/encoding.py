"""Values of the store's text columns: JSON, whatever is put in, and whatever is found there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

_encode = msgspec.json.Encoder(enc_hook=str).encode


def to_json(value: object) -> str:
    """Anything as JSON: what it cannot hold becomes its text (`Secret(***)`), because telling must not fail traffic."""
    try:
        return _encode(value).decode()
    except (ValueError, TypeError, RecursionError, msgspec.MsgspecError):
        pass  # a lone surrogate, a key that is no text
    try:
        return json.dumps(value, default=str, skipkeys=True)
    except (ValueError, TypeError, RecursionError):
        return json.dumps({"unreadable": type(value).__name__})


def to_dict(text: object) -> dict[str, object] | None:
    """An object; None for all else."""
    try:
        found = json.loads(str(text))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def readable[K](rows: Mapping[K, object]) -> dict[K, Any]:
    """Their values. One that is no JSON is left out: a hand that edits the database must not stop traffic."""
    found: dict[K, Any] = {}
    for key, text in rows.items():
        try:
            found[key] = json.loads(str(text))
        except ValueError:
            continue
    return found
