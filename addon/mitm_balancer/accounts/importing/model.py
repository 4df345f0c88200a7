"""What an import finds, and where it looks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mitm_balancer.accounts.model import Credential
from mitm_balancer.accounts.oauth.services import ROTATING
from mitm_balancer.config.sources import CredentialSource, Env

LARGEST = 16 * 1024 * 1024
"""Bytes of a credential file; the largest, Claude Code's own settings, has been seen with some megabytes."""


class BadEntryError(Exception):
    """A file, or one entry in it, is no credential that can be used; the text says why, and holds nothing of it."""


@dataclass(frozen=True, slots=True)
class Login:
    """Where a login stands in an agent's own file, so that it can be taken out of it."""

    path: Path
    keys: tuple[tuple[str, ...], ...]
    """Ways through the JSON object to what goes; empty: the whole file."""


@dataclass(frozen=True, slots=True)
class Found:
    """One credential that an agent has."""

    agent: str
    place: str
    """For people: a path, or `$NAME`."""
    provider: str
    credential: Credential
    alias: str = ""
    """What its owner calls it already; empty: nothing."""
    login: Login | None = None
    """None: it cannot be taken out by us."""
    disabled: bool = False
    """Its owner had switched it off."""
    variable: str = ""
    """The environment variable that it came from, if any."""

    @property
    def rotates(self) -> bool:
        """Whether its refresh token must have one owner."""
        return self.credential.refresh is not None and self.provider in ROTATING

    def is_read_from(self, source: CredentialSource) -> bool:
        """Whether the configuration takes the very same credential from that source."""
        return bool(self.variable) and source == Env(self.variable)


@dataclass(frozen=True, slots=True)
class Problem:
    """What could not be read."""

    agent: str
    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


@dataclass(slots=True)
class Harvest:
    """What one source yields, gathered piece by piece: a bad piece is told and hides no other."""

    agent: str
    found: list[Found] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @contextlib.contextmanager
    def piece(self, place: str) -> Iterator[None]:
        """What fails inside becomes a problem at that place."""
        try:
            yield
        except BadEntryError as error:
            self.problem(place, str(error))

    def add(
        self, place: Place, provider: str, credential: Credential, *, alias: str = "", disabled: bool = False,
        takes: tuple[tuple[str, ...], ...] | None = None,
    ) -> None:  # fmt: skip
        """One credential. `takes`: see `Login.keys`; None when it cannot be taken out of its place."""
        login = Login(place.path, takes) if takes is not None and place.path is not None else None
        found = Found(self.agent, place.text, provider, credential, alias, login, disabled, place.variable)
        self.found.append(found)

    def problem(self, place: str, text: str) -> None:
        self.problems.append(Problem(self.agent, place, text))


@dataclass(frozen=True, slots=True)
class Place:
    """Where bytes came from."""

    text: str
    path: Path | None = None
    variable: str = ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The user's side of the machine."""

    env: Mapping[str, str] = field(repr=False)
    home: Path
    folder: Path
    """The working directory: where aider looks for its files."""
    platform: str = "linux"
    """As `sys.platform`."""
    providers: frozenset[str] = frozenset()
    """Names that an account may have: the built-in providers and the user's own."""

    def folder_of(self, variable: str, *default: str) -> Path:
        """A folder that a variable may move; `default` is below the home."""
        return Path(self.env[variable]).expanduser() if self.env.get(variable) else self.home.joinpath(*default)

    @property
    def config(self) -> Path:
        """The XDG configuration folder, on every system: the agents do it so."""
        return self.folder_of("XDG_CONFIG_HOME", ".config")

    @property
    def data(self) -> Path:
        """The XDG data folder, likewise."""
        return self.folder_of("XDG_DATA_HOME", ".local", "share")

    def shown(self, path: Path) -> str:
        """The path as people write it."""
        return f"~/{path.relative_to(self.home)}" if path.is_relative_to(self.home) else str(path)

    def place(self, path: Path) -> Place:
        return Place(self.shown(path), path)
