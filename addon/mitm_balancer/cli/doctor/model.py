"""The words of the doctor: a finding with its cure, and the bench on which everything that is looked at lies."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mitm_balancer.accounts.model import StoredAccount
from mitm_balancer.cli.bus import Proxy
from mitm_balancer.config import AccountSpec, Config
from mitm_balancer.providers.model import Provider
from mitm_balancer.secrets import Secret


class Level(enum.StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    """Works, but not as its user may think."""
    FAIL = "fail"
    """Something does not work: the exit code is 1."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    subject: str
    """One word: python, ca, port, home, ..."""
    text: str
    """What was found. Never a secret."""
    cure: str = ""
    """What to do, with the command where there is one; every finding but `ok` has it."""


def ok(subject: str, text: str, cure: str = "") -> Finding:
    return Finding(Level.OK, subject, text, cure)


def warn(subject: str, text: str, cure: str) -> Finding:
    return Finding(Level.WARN, subject, text, cure)


def fail(subject: str, text: str, cure: str) -> Finding:
    return Finding(Level.FAIL, subject, text, cure)


@dataclass(frozen=True, slots=True)
class Bench:
    """Everything that the checks look at, so that a test can lay out any machine."""

    home: Path
    """The balancer's."""
    config_file: Path
    """Where the configuration is, or would be."""
    environ: Mapping[str, str]
    user_home: Path
    folder: Path
    """The one that the user stands in: agents read settings from it too."""
    port: int
    online: bool = False
    config: Config = field(default_factory=Config)
    """As merged with the stored accounts; the defaults when the file is unusable."""
    config_problems: tuple[str, ...] = ()
    roster_problems: tuple[str, ...] = ()
    stored: Sequence[StoredAccount] = ()
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    """By account; those that could be had."""
    credential_problems: Mapping[str, str] = field(default_factory=dict)
    proxy: Proxy | None = None
    command: str = "balancer"
    """How to call this program again, with the options that mean the same home."""

    @property
    def enabled(self) -> list[AccountSpec]:
        return [spec for spec in self.config.accounts if spec.enabled]

    @property
    def hosts(self) -> list[tuple[str, str]]:
        """(provider, host) that clients call, of every provider with an account; patterns and ports left out."""
        providers: dict[str, Provider] = {provider.name: provider for provider in self.config.all_providers()}
        names = dict.fromkeys(spec.provider for spec in self.enabled)
        return [
            (name, host)
            for name in names
            if name in providers
            for host in providers[name].hosts
            if "*" not in host and ":" not in host
        ]


type Findings = Iterator[Finding]
