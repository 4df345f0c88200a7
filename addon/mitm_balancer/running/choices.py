"""The user's choices (`balancer accounts use`): each is obeyed once, because a failover may move on from it.

Obeyed ones outlive the process (`in_use`), so that a restart does not bring a choice of last week back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mitm_balancer.operations.overrides import ACTIVE, ACTIVE_AT


class Choices:
    """`obeyed` is what `in_use` keeps: provider -> account, and `provider@` -> when that was chosen."""

    def __init__(self, obeyed: Mapping[str, str]) -> None:
        self.obeyed = dict(obeyed)

    def fresh(self, settings: Mapping[str, Any]) -> dict[str, str]:
        """Provider -> account, of the choices that are not obeyed yet; the same account again is one, too."""
        times = _mapping(settings.get(ACTIVE_AT))
        return {
            str(provider): name
            for provider, name in _mapping(settings.get(ACTIVE)).items()
            if isinstance(name, str)
            and (self.obeyed.get(provider), self.obeyed.get(f"{provider}@")) != (name, _text(times.get(provider)))
        }

    def obey(self, provider: str, settings: Mapping[str, Any]) -> None:
        """It is in force."""
        self.obeyed[provider] = str(_mapping(settings.get(ACTIVE)).get(provider))
        at = _text(_mapping(settings.get(ACTIVE_AT)).get(provider))
        self.obeyed.pop(f"{provider}@", None)
        if at is not None:
            self.obeyed[f"{provider}@"] = at

    def rename(self, renamed: Mapping[str, str]) -> None:
        """Accounts have other names now: old -> new."""
        self.obeyed = {key: renamed.get(value, value) for key, value in self.obeyed.items()}


def _text(at: object) -> str | None:
    return None if at is None else str(at)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
