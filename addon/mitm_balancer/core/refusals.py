"""Which parts of a conversation a provider has refused before: it would refuse them again."""

from __future__ import annotations

from collections import OrderedDict

SESSIONS = 500
"""Sessions remembered, the least recently asked for goes first."""

PARTS = 5000
"""Parts of one session; beyond that it is forgotten, and costs a refusal again."""


class Refusals:
    """Session at a provider -> digests of the parts. In memory only: the price of having forgotten is one attempt."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, frozenset[bytes]] = OrderedDict()

    def find(self, key: str) -> frozenset[bytes]:
        """Empty: nothing was refused."""
        if key in self._known:
            self._known.move_to_end(key)
        return self._known.get(key, frozenset())

    def note(self, key: str, parts: frozenset[bytes]) -> None:
        """These too."""
        found = self._known.pop(key, frozenset()) | parts
        if len(found) <= PARTS:
            self._known[key] = found
        while len(self._known) > SESSIONS:
            self._known.popitem(last=False)
