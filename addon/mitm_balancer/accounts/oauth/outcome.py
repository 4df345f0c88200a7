"""What a wish for a new access token came to."""

from __future__ import annotations

from dataclasses import dataclass

from mitm_balancer.accounts.model import StoredAccount


@dataclass(frozen=True, slots=True)
class Fresh:
    """There is a newer credential than the one that was refused or has ended: use it."""

    account: StoredAccount
    ours: bool = False
    """Renewed just now by this process; else it had been done by somebody else."""


@dataclass(frozen=True, slots=True)
class NotNow:
    """No harm was done; another try makes sense in `wait` seconds. None: a refresh would not help."""

    reason: str
    wait: float | None = None


@dataclass(frozen=True, slots=True)
class NeedsLogin:
    """The login is over: only a person brings it back."""

    reason: str
    cure: str

    def __str__(self) -> str:
        return f"needs a login: {self.reason} ({self.cure})"


type Renewal = Fresh | NotNow | NeedsLogin
