"""Taking an account's secrets out of what a provider answered, before it is kept (behaviour spec 4.4).

What is replaced: the account's own secrets wherever they stand, also in their encoded forms, and the whole value of any
key that is named like a credential. Addresses of e-mail go as well (`without_people`): numbers are kept, not persons.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus

from mitm_balancer.secrets import Secret

REDACTED = "[redacted]"

SHORTEST_ENCODED = 8
"""Of a shorter secret only its own form is looked for: its encoded ones are too common to be it."""

_PARTS = ("api_key", "access_token", "refresh_token", "x-api-key", "authorization")
_SQUEEZED = ("apikey", "accesstoken", "refreshtoken", "xapikey")
_WORDS = frozenset({"token", "key", "secret", "password"})

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_EMAIL = re.compile(r"[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")


class Redaction:
    """Of one account."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        values = {secret.reveal() for secret in secrets if secret}
        self._forms = sorted({form for value in values for form in _forms(value)}, key=len, reverse=True)
        """Longest first: a secret that begins like another one must not leave its end behind."""

    def text(self, text: str) -> str:
        """The text without the secrets."""
        for form in self._forms:
            text = text.replace(form, REDACTED)
        return text

    def value(self, value: Any) -> Any:
        """A JSON value without them, and without what stands under a key that is named like a credential."""
        match value:
            case str():
                return self.text(value)
            case dict():
                return {
                    self.text(str(key)): REDACTED if is_credential_like(str(key)) else self.value(entry)
                    for key, entry in value.items()
                }
            case list() | tuple():
                return [self.value(entry) for entry in value]
        return value

    def __repr__(self) -> str:
        return "Redaction(***)"


def is_credential_like(key: str) -> bool:
    """`token`, `maxToken`, `session_key`, `TOKEN_TYPE`; not `tokens`, `monkey`, `email`."""
    lower = key.lower()
    squeezed = re.sub(r"[^a-z0-9]", "", lower)
    words = re.split(r"[^a-z0-9]+", _HUMP.sub(" ", key).lower())
    return (
        any(part in lower for part in _PARTS)
        or any(part in squeezed for part in _SQUEEZED)
        or not _WORDS.isdisjoint(words)
    )


def without_people(value: Any) -> Any:
    """The value with `[email]` in the place of every address."""
    match value:
        case str():
            return _EMAIL.sub("[email]", value)
        case dict():
            return {_EMAIL.sub("[email]", str(key)): without_people(entry) for key, entry in value.items()}
        case list() | tuple():
            return [without_people(entry) for entry in value]
    return value


def _forms(value: str) -> Iterable[str]:
    """The secret, and what it becomes in a URL, in JSON, in base64 (at each of the three places) and in hex."""
    yield value
    if len(value) < SHORTEST_ENCODED:
        return
    data = value.encode()
    yield from {quote(value, safe=""), quote(value), quote_plus(value), quote(value, safe="").replace("%", "%25")}
    yield re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), quote(value, safe=""))
    yield json.dumps(value)[1:-1]
    yield json.dumps(value)[1:-1].replace("/", "\\/")
    yield data.hex()
    yield data.hex().upper()
    for shift in range(3):
        # The characters that also hold a neighbour's bits differ: only what is the secret's alone is looked for.
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            coded = encode(b"\0" * shift + data).decode().rstrip("=")
            spoilt = (len(data) + shift) % 3
            yield coded[(0, 2, 3)[shift] : len(coded) - (1 if spoilt else 0)]
