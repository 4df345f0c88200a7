"""What belongs to the account besides its credential, put into the attempt's copy of a request by splice.

Only fields that are known of the chosen account are touched, and only where the client had put one of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from mitm_balancer.core.splice import put_string, read_string
from mitm_balancer.providers.model import Provider

_OLD_USER_ID = re.compile(r"(user_[0-9a-f]+_account_)([0-9a-fA-F-]*)(_session_.*)", re.DOTALL)


def edit_body(provider: Provider, identity: Mapping[str, str], body: bytes) -> bytes:
    """The body with the account's own ids in it; the same bytes when there is nothing to change."""
    for key, word in provider.account_body:
        if word not in identity:
            continue
        path = key.split(".")
        old = read_string(body, path)
        if old is None:
            continue
        new = swap_user_id(old, identity[word]) if path[-1] == "user_id" else identity[word]
        if new is not None and new != old:
            body = put_string(body, path, new)
    return body


def edit_path(provider: Provider, identity: Mapping[str, str], path: str) -> str:
    """The path with the account's project and location in it (Vertex)."""
    for pattern, word in provider.account_path:
        found = re.search(pattern, path) if word in identity else None
        if found is not None:
            path = path[: found.start(1)] + identity[word] + path[found.end(1) :]
    return path


def swap_user_id(old: str, account_uuid: str) -> str | None:
    """Claude Code's `metadata.user_id` with another account in it, in either of its two formats (wire-facts 1.2.4).

    None when it is in neither: then it is the client's own affair.
    """
    if (found := _OLD_USER_ID.fullmatch(old)) is not None:
        return f"{found[1]}{account_uuid}{found[3]}"
    if not old.startswith("{"):
        return None
    raw = old.encode()
    spliced = put_string(raw, ("account_uuid",), account_uuid)
    if spliced == raw and read_string(raw, ("account_uuid",)) is None:
        return None
    try:
        json.loads(spliced)
    except ValueError:
        return None
    return spliced.decode()
