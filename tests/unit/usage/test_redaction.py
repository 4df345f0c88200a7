"""Redaction: the vectors of behaviour spec 4.4, the encoded forms, and people."""

import base64
import json
import urllib.parse
from typing import Any

import pytest

from mitm_balancer.secrets import Secret
from mitm_balancer.usage.redaction import REDACTED, Redaction, is_credential_like, without_people

SECRET = "sk-canary/0123+456789=abc"


def redact(value: Any, *secrets: str) -> Any:
    return Redaction(Secret(secret) for secret in secrets or (SECRET,)).value(value)


@pytest.mark.parametrize(
    "key",
    ["token", "maxToken", "keyId", "session_key", "api_key_id", "authorization_status", "passwordHash", "secretSauce",
     "TOKEN_TYPE", "apiKey", "X-Api-Key", "accessTokens", "refreshtoken", "APIKeys", "Authorization"],
)  # fmt: skip
def test_keys_that_are_named_like_a_credential(key: str) -> None:
    assert is_credential_like(key)
    assert redact({key: {"a": 1}}) == {key: REDACTED}, "the whole value"


@pytest.mark.parametrize(
    "key", ["tokens", "input_tokens", "monkey", "email", "login", "analytics_tracking_id", "keys", "plan", "keyboard"]
)
def test_keys_that_are_kept(key: str) -> None:
    assert not is_credential_like(key)
    assert redact({key: "x"}) == {key: "x"}


def test_secrets_go_wherever_they_stand() -> None:
    found = redact({"a": [f"x{SECRET}y", {SECRET: 1, "n": 5, "b": None, "c": True}], "d": 1.5})
    assert found == {"a": [f"x{REDACTED}y", {REDACTED: 1, "n": 5, "b": None, "c": True}], "d": 1.5}
    assert redact(SECRET) == REDACTED


def test_the_longest_goes_first() -> None:
    """Else the end of the longer one would stay."""
    assert redact("abcdefgh-and-more abcdefgh", "abcdefgh", "abcdefgh-and-more") == f"{REDACTED} {REDACTED}"


def test_an_empty_secret_is_none() -> None:
    assert redact("abc", "") == "abc"


@pytest.mark.parametrize(
    "coded",
    [
        urllib.parse.quote(SECRET, safe=""),
        urllib.parse.quote(SECRET, safe="").replace("%2F", "%2f").replace("%2B", "%2b").replace("%3D", "%3d"),
        urllib.parse.quote(urllib.parse.quote(SECRET, safe=""), safe=""),
        json.dumps(SECRET)[1:-1].replace("/", "\\/"),
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
        *(base64.b64encode(b"x" * shift + SECRET.encode() + b"yz").decode() for shift in range(3)),
        *(base64.urlsafe_b64encode(b"\xff" * shift + SECRET.encode()).decode() for shift in range(3)),
    ],
)
def test_encoded_forms_go_too(coded: str) -> None:
    """What stays of one is a few characters of its neighbours' bits."""
    found = redact(f"<{coded}>")
    assert REDACTED in found
    assert len(found) <= len(REDACTED) + 14
    plain = found.replace(REDACTED, "")
    assert not any(SECRET[i : i + 4] in plain for i in range(len(SECRET) - 3))


def test_a_short_secret_has_no_encoded_forms() -> None:
    assert redact("YWI= 6162 ab", "ab") == f"YWI= 6162 {REDACTED}"


def test_addresses_of_people_go() -> None:
    found = without_people(
        {"email": "a.b+c@corp.example", "of@x.example": ["mail me@x.example now"], "login": "me", "n": 1}
    )
    assert found == {"email": "[email]", "[email]": ["mail [email] now"], "login": "me", "n": 1}


def test_it_tells_nothing_of_itself() -> None:
    assert SECRET not in repr(Redaction([Secret(SECRET)]))
