"""Which accounts a client was started for (`balancer exec --account`): its proxy URL says so with each CONNECT."""

from __future__ import annotations

import base64
import binascii

from mitmproxy import http

from mitm_balancer.core.pins import accounts_of

HEADER = "proxy-authorization"


class Runs:
    """Per client connection. Somebody else's user name is none of ours, and stays where it is."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, ...]] = {}

    def connects(self, client_id: str, request: http.Request) -> None:
        """A CONNECT: what it says of its run is remembered, and taken out of it."""
        accounts = accounts_of(user(request.headers.get(HEADER, "")))
        if accounts:
            self._known[client_id] = accounts
            del request.headers[HEADER]

    def of(self, client_id: str) -> tuple[str, ...]:
        """The accounts of the run that this connection belongs to; none: of no run."""
        return self._known.get(client_id, ())

    def ended(self, client_id: str) -> None:
        """The connection is gone."""
        self._known.pop(client_id, None)


def user(authorization: str) -> str:
    """The user name in a Basic credential; empty for anything else."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value, validate=True).decode("utf-8").partition(":")[0]
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""
