"""Credentials for tests."""

import base64
import json
from typing import Any

from mitm_balancer.accounts.model import Credential
from mitm_balancer.secrets import Secret


def key(text: str = "sk-ant-api03-CANARY-KEY-0001", **fields: Any) -> Credential:
    return Credential("api", Secret(text), **fields)


def login(access: str = "access-1", refresh: str | None = "refresh-1", **identity: str) -> Credential:
    return Credential("oauth", Secret(access), None if refresh is None else Secret(refresh), 2e9, identity)


def jwt(claims: dict[str, Any]) -> str:
    coded = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJub25lIn0.{coded}.signature"
