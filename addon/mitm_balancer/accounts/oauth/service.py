"""What is known of a provider's token service: facts only, each from wire-facts x.6."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


class Form(enum.Enum):
    """How a refresh is asked for."""

    JSON = "json"
    FORM = "form"
    EXCHANGE = "exchange"
    """A GET with the long-lived token; what comes back is a short-lived one, and the long-lived one stays."""


DEAD = frozenset({"invalid_grant", "token_revoked"})
"""RFC 6749 5.2: the refresh token is invalid, expired, revoked, or another client's. Never cured by waiting."""


@dataclass(frozen=True, slots=True)
class TokenService:
    """A provider's token endpoint. An account's own `extra` may name another `token_url` and `client_id`."""

    provider: str
    url: str
    form: Form = Form.JSON
    client_id: str = ""
    """The official client's public one: a refresh token works with no other."""
    client: str = ""
    """The program that the id belongs to: what a person has to have for a login."""
    rotates: bool = True
    """Each use of the refresh token ends it and yields the next one: a second use may end the whole login."""
    grace: float = 0.0
    """Seconds in which a second use of a used token yields a successor. 0: none is known of."""
    dead_codes: frozenset[str] = DEAD
    """Error codes that only a new login cures."""
    dead_statuses: frozenset[int] = frozenset()
    """Statuses that mean the same, whatever the body says."""
    identity: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Words of `Credential.identity`: where the answer has them."""
    program: str = ""
    """The refresh also needs the official client's own "secret" (Google calls it that, and says it is none): the name
    of the program that it is read from, for it is in no file of ours."""

    @property
    def cure(self) -> str:
        """What brings a dead login back."""
        return f"balancer accounts login {self.provider}"
