"""A secret that cannot be printed by accident (P7)."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, NoReturn


class Secret:
    """Holds a credential. `reveal()` is the only way out; text forms, comparisons and pickles give nothing away."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The credential itself: for the wire request only."""
        return self._value

    def fingerprint(self) -> str:
        """Eight hex digits that tell two credentials apart and nothing more."""
        return hmac.new(b"mitm-balancer fingerprint", self._value.encode(), hashlib.sha256).hexdigest()[:8]

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self.fingerprint())

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is never pickled")

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __getstate__(self) -> Any:
        raise TypeError("a Secret is never copied into a file")
