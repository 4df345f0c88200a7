"""An account of the store, and the credential that it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mitm_balancer.secrets import Secret

KINDS = ("api", "oauth", "wellknown")
"""The seed's kinds of credentials: a key, a login with tokens, a pair that a well-known address gave out."""


class AccountError(Exception):
    """An account cannot be read or changed; the text says why, and what to do about it."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What an account sends, and what renews it."""

    kind: str
    """One of KINDS."""
    secret: Secret
    """The API key, or the access token."""
    refresh: Secret | None = None
    expires_at: float | None = None
    """Unix seconds: the end of the access token; None: unknown or never."""
    identity: Mapping[str, str] = field(default_factory=dict)
    """Of its owner: words of `Provider.account_*` (account_id, account_uuid, project, ...), and email, plan, org."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """What a refresh needs beside the token (client_id, enterprise_url, scope, token_url, ...). Never a secret."""


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """The same meaning as in the configuration, and the same defaults."""

    priority: int = 0
    weight: float = 1
    models: tuple[str, ...] = ("*",)
    base_url: str | None = None
    concurrency_limit: int = 8
    policy_tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredAccount:
    """An account of the store; times are unix seconds."""

    id: str
    """Stays the same through renames and renewals; another credential owner under the same alias has another one."""
    provider: str
    alias: str
    credential: Credential | None
    """None: the row is bad, `problem` says why; it disables itself and nobody else."""
    generation: int
    """One more with every credential that is stored for this account."""
    settings: AccountSettings
    source: str
    """`add`, `import:<agent>`, `login`, `capture`."""
    created_at: float
    updated_at: float
    last_used_at: float | None = field(default=None, compare=False)
    """When an attempt last went to it, as far as it is written down: not what makes an account another one."""
    problem: str = ""
    kind: str = ""
    """As in the credential; known for a bad row, too."""
    expires_at: float | None = None

    @property
    def name(self) -> str:
        return f"{self.provider}/{self.alias}"


@dataclass(frozen=True, slots=True)
class Pending:
    """A credential that was seen on the wire and is not an account yet."""

    id: str
    provider: str
    credential: Credential | None
    """None: the row is bad, `problem` says why."""
    source: str
    captured_at: float
    problem: str = ""
