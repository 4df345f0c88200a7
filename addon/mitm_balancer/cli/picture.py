"""What `status` shows, as it stands in its JSON (docs/status.md has every field). `look.take` makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mitm_balancer.cli.status_usage import UsagePicture

VERSION = 1
"""Of the JSON. Fields may be added; one that is renamed, removed, or means something else makes it 2."""

SERVING = ("ready", "limited")
"""States of accounts that take requests."""


@dataclass(frozen=True, slots=True)
class Cooldown:
    """`model` is "" for all models; `seconds` is what is left."""

    model: str
    reason: str
    seconds: float
    until: float


@dataclass(frozen=True, slots=True)
class AccountPicture:
    """`state`: ready, limited (some models rest), cooling (all rest), failing (its breaker is open), unusable (its
    credential), and the operator's paused, drained and disabled."""

    name: str
    provider: str
    alias: str
    state: str
    active: bool
    priority: int
    stored: bool = False
    """Added by a command; otherwise it stands in the configuration."""
    problem: str = ""
    cooldowns: tuple[Cooldown, ...] = ()
    usage: UsagePicture = field(default_factory=UsagePicture)
    in_flight: int = 0
    sessions: int = 0
    breaker: str = "closed"
    breaker_until: float | None = None
    health: float | None = None
    failure_rate: float | None = None
    latency: Mapping[str, float] = field(default_factory=dict)
    """Seconds to the first meaningful byte, by model."""
    last_used: float | None = None
    last_error: Mapping[str, Any] | None = None
    failures: int = 0
    """Since it last served."""

    @property
    def back_in(self) -> float | None:
        """Seconds until it serves every model again."""
        return max((cooldown.seconds for cooldown in self.cooldowns), default=None)

    @property
    def used(self) -> float | None:
        """Percent of its fullest window; None: not known."""
        return max((w.used_percent for w in self.usage.windows if w.used_percent is not None), default=None)


@dataclass(frozen=True, slots=True)
class ProxyPicture:
    """The proxy that runs with this home."""

    pid: int
    url: str
    version: str | None
    started: float | None
    running: int = 0
    waiting: int = 0
    concurrency_limit: int | None = None
    queue_limit: int | None = None
    sockets: int = 0


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything at one moment; `at` is wall-clock seconds."""

    at: float
    home: str
    config: str | None
    config_file: str
    """Where the configuration is, or would be read from."""
    balancing: bool
    strategy: str
    proxy: ProxyPicture | None
    problems: tuple[str, ...]
    overrides: tuple[str, ...] = ()
    """What commands have set over the configuration."""
    accounts: tuple[AccountPicture, ...] = ()
    config_problem: bool = False
    """The file has a mistake; what is shown is what the proxy read before."""
    pending: int = 0
    """Captured logins that nobody has accepted or dismissed yet."""
    capture_until: float | None = None
    """While the window of capture is open: when it closes, unix seconds."""

    @property
    def serving(self) -> AccountPicture | None:
        """The account that was used last of those that new work goes to."""
        active = [account for account in self.accounts if account.active]
        return max(active, key=lambda account: account.last_used or 0, default=None)

    def as_json(self) -> dict[str, Any]:
        data = {"version": VERSION, **asdict(self)}
        for entry, account in zip(data["accounts"], self.accounts, strict=True):
            entry["back_in"] = account.back_in
        return data
