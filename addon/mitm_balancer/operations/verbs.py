"""What an operator does, once for all: the CLI does it to the store, mitmproxy's commands to the running proxy.

A verb takes a `Board` and gives a `Report`. It raises UnknownTargetError when its target is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from mitm_balancer.config import AccountSpec, Config
from mitm_balancer.core.operator import WORDS
from mitm_balancer.operations import overrides
from mitm_balancer.operations.targets import Named, UnknownTargetError, find
from mitm_balancer.ops.events import EventType

type Flags = Mapping[str, Mapping[str, str | bool | None]]

STATES = {
    "pause": ("paused", EventType.OPERATOR_PAUSED, "gets no new work until it is resumed"),
    "drain": ("drained", EventType.OPERATOR_DRAINED, "keeps what runs and its sessions, and begins nothing new"),
    "disable": ("disabled", EventType.OPERATOR_DISABLED, "is off until it is resumed"),
}
"""Verb -> its state, its event, and what it means."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was done. `lines` is for people, the rest for programs."""

    verb: str
    lines: tuple[str, ...]
    target: str = ""
    changed: tuple[str, ...] = ()
    """Names of accounts and providers, or of settings."""
    warnings: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Board(Protocol):
    """What operations see and change. Changes are kept over a restart and hold at once."""

    @property
    def config(self) -> Config:
        """As the file and the stored accounts say, without what commands have set."""
        ...

    def settings(self) -> Mapping[str, Any]: ...

    def flags(self) -> Flags: ...

    def set_setting(self, key: str, value: object) -> None:
        """None: the configuration counts again."""
        ...

    def set_flag(self, name: str, flag: str, on: bool) -> None: ...

    def clear(self, names: Sequence[str], model: str | None) -> list[str]:
        """Forget cooldowns and breakers; those of the names that had any."""
        ...

    def add_event(self, type: EventType, account: str, message: str) -> None: ...


def set_state(board: Board, verb: str, target: str) -> Report:
    """`pause`, `drain` or `disable` an account or a provider; it takes the place of the state before."""
    named = find(target, _names(board.config))
    flag, event, meaning = STATES[verb]
    before = _state(board.flags(), named.name)
    for word in WORDS:
        if word == flag or board.flags().get(named.name, {}).get(word):
            board.set_flag(named.name, word, word == flag)
    if before == flag:
        return Report(verb, (f"{named.name} is {flag} already",), named.name)
    board.add_event(event, named.name, f"{flag} by the operator")
    return Report(verb, (f"{named.name} is {flag}: it {meaning}",), named.name, (named.name,), _nobody_left(board))


def resume(board: Board, target: str) -> Report:
    """End a pause, a drain or a disable: of the provider, or of the account, whichever is named."""
    named = find(target, _names(board.config))
    flags = board.flags()
    before = _state(flags, named.name)
    for word in WORDS:
        if flags.get(named.name, {}).get(word):
            board.set_flag(named.name, word, False)
    warnings = _still_out(board, named)
    if not before:
        return Report("resume", (f"{named.name} was not stopped",), named.name, warnings=warnings)
    board.add_event(EventType.OPERATOR_RESUMED, named.name, f"no longer {before}: resumed by the operator")
    lines = (f"{named.name} is no longer {before}",)
    return Report("resume", lines, named.name, (named.name,), warnings)


def clear(board: Board, target: str, model: str | None = None) -> Report:
    """Forget the cooldowns and the breaker, so that it is tried again now; with `model`, the cooldown of that only."""
    named = find(target, _names(board.config))
    had = board.clear(named.accounts, model)
    what = f"its cooldown for {model}" if model else "its cooldowns and its breaker"
    for name in had:
        board.add_event(EventType.OPERATOR_CLEARED, name, f"{what} cleared by the operator")
    lines = [f"{name}: {what} forgotten, it is tried again" for name in had]
    nothing = f"{named.name} had {f'no cooldown for {model}' if model else 'no cooldown and no open breaker'}"
    return Report("clear", tuple(lines) or (nothing,), named.name, tuple(had))


def switch(board: Board, on: bool) -> Report:
    """Balancing on or off, over what the configuration says."""
    verb = "on" if on else "off"
    config, settings = board.config, board.settings()
    before = overrides.apply(config, settings).balancing
    # What the configuration says anyhow is no override: its next change shall count.
    board.set_setting(overrides.BALANCING, None if config.balancing == on else on)
    effect = "a limit on one account is hidden by another" if on else "the active account serves, without failover"
    if before == on:
        return Report(verb, (f"balancing is {verb} already: {effect}",))
    board.add_event(EventType.OPERATOR_SWITCHED, "", f"balancing switched {verb} by the operator")
    return Report(verb, (f"balancing is {verb}: {effect}",), changed=(overrides.BALANCING,))


def use(board: Board, target: str, at: float) -> Report:
    """New work of its provider goes to this account; sessions stay where they are. `at`: wall-clock seconds."""
    named = find(target, _names(board.config))
    if named.is_provider:
        raise UnknownTargetError(f"{named.name} is a provider; say which account: {', '.join(named.accounts)}")
    provider, settings = named.name.partition("/")[0], board.settings()
    # In this order: with the time first, the choice before this one would be obeyed once more.
    for key, value in ((overrides.ACTIVE, named.name), (overrides.ACTIVE_AT, at)):
        found = settings.get(key)
        board.set_setting(key, {**(found if isinstance(found, dict) else {}), provider: value})
    board.add_event(EventType.ACCOUNT_ACTIVATED, named.name, f"{named.name} is now used")
    lines = (f"{named.name} is used from now on; sessions that are under way stay where they are",)
    return Report("use", lines, named.name, (named.name,), _still_out(board, named))


def serving(spec: AccountSpec, flags: Flags) -> str:
    """Why the operator keeps this account from new work, or ""."""
    if not spec.enabled:
        return "disabled in the configuration"
    found = (_state(flags, spec.name), _state(flags, spec.provider))
    return next((word for word in WORDS if word in found), "")


def _names(config: Config) -> list[str]:
    return [spec.name for spec in config.accounts]


def _state(flags: Flags, name: str) -> str:
    return next((word for word in WORDS if flags.get(name, {}).get(word)), "")


def _still_out(board: Board, named: Named) -> tuple[str, ...]:
    """Accounts that do not serve yet: another flag holds, or the configuration disables them."""
    flags = board.flags()
    told = []
    for spec in board.config.accounts:
        if spec.name not in named.accounts or not (why := serving(spec, flags)):
            continue
        holder = spec.name if _state(flags, spec.name) else spec.provider
        cure = f"balancer resume {holder}" if spec.enabled else "set enabled: true there"
        told.append(f"{spec.name} is still {why}: {cure}")
    return tuple(told)


def _nobody_left(board: Board) -> tuple[str, ...]:
    flags = board.flags()
    left = {spec.provider for spec in board.config.accounts if not serving(spec, flags)}
    gone = dict.fromkeys(spec.provider for spec in board.config.accounts if spec.provider not in left)
    return tuple(f"no account of {name} is left: requests go with the agent's own credential" for name in gone)
