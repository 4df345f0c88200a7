"""The priority matrix: which providers may stand in for another, in which order, and with which model.

A provider in no row serves its own requests and never those of another (issue 4: "never to a provider that the matrix
does not enable").
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from mitm_balancer.core.target import allows

type Rename = str | tuple[tuple[str, str], ...] | None
"""None: the client's model. A string: that model. Pairs of a glob and a model: the first glob that fits decides."""

type Across = Literal["return", "stay", "strict"]
"""What becomes of a conversation that another provider has served: `return` goes home with the next turn of the user,
`stay` when that provider is out, `strict` is `return` with the order of the matrix also in front of the home."""


def renamed(rename: Rename, model: str) -> str | None:
    """The model to send; None: there is none for this one."""
    if not isinstance(rename, tuple):
        return rename or model or None
    # An unknown model fits no glob: `allows` would let it pass.
    return next((name for glob, name in rename if model and allows((glob,), model)), None)


@dataclass(frozen=True, slots=True)
class Row:
    """One provider of the matrix."""

    provider: str
    model: Rename = None
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Matrix:
    """The rows in their order, one for each provider."""

    rows: tuple[Row, ...] = ()
    across: Across = "return"

    def serves_itself(self, provider: str) -> bool:
        """Whether a provider's own accounts may serve its requests."""
        return all(row.enabled for row in self.rows if row.provider == provider)

    def names(self, provider: str) -> bool:
        """Whether there is a row for it."""
        return any(row.provider == provider for row in self.rows)

    def others(self, home: str) -> Iterator[Row]:
        """Those that may stand in for `home`, in order."""
        return (row for row in self.rows if row.enabled and row.provider != home)

    def leads(self, row: Row, home: str) -> bool:
        """Whether this row comes even before the home (`strict`)."""
        names = [other.provider for other in self.rows]
        return self.across == "strict" and home in names and names.index(row.provider) < names.index(home)
