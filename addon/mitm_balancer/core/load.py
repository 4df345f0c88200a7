"""What the order may ask about running work. `admission.Admission` answers it; `NoLoad` is for those without limits."""

from __future__ import annotations

from typing import Protocol

from mitm_balancer.core.changes import Changes


class Load(Protocol):
    """Attempts under way, per account."""

    @property
    def changes(self) -> Changes: ...

    def running(self, name: str) -> int:
        """Leases that are held."""
        ...

    def at_limit(self, name: str) -> bool:
        """Whether the account's own limit is reached."""
        ...


class NoLoad:
    """Nothing runs, nothing is limited."""

    def __init__(self) -> None:
        self.changes = Changes()

    def running(self, name: str) -> int:  # noqa: ARG002
        return 0

    def at_limit(self, name: str) -> bool:  # noqa: ARG002
        return False
