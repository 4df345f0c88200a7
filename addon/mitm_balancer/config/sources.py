"""Where an account's credential comes from. `accounts.credentials.resolve` turns one of these into the credential."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mitm_balancer.secrets import Secret


@dataclass(frozen=True, slots=True)
class Literal:
    """The credential itself, as it stands in the configuration."""

    secret: Secret = field(repr=False)

    def __str__(self) -> str:
        return "the credential in the configuration"


@dataclass(frozen=True, slots=True)
class Env:
    """An environment variable of the balancer's process."""

    name: str

    def __str__(self) -> str:
        return f"environment variable {self.name}"


@dataclass(frozen=True, slots=True)
class File:
    """A file that holds the credential and nothing else."""

    path: Path

    def __str__(self) -> str:
        return f"file {self.path}"


@dataclass(frozen=True, slots=True)
class Command:
    """A program that prints the credential; its arguments may hold a secret, so only its name is ever shown."""

    argv: tuple[str, ...] = field(repr=False)

    def __str__(self) -> str:
        return f"command {self.argv[0]}"


@dataclass(frozen=True, slots=True)
class Keyring:
    """An entry of the operating system's keyring, under the service `mitm-balancer`."""

    name: str

    def __str__(self) -> str:
        return f"keyring entry {self.name}"


@dataclass(frozen=True, slots=True)
class Stored:
    """An account of the store, by its name; `accounts.book` has the credential."""

    name: str

    def __str__(self) -> str:
        return f"the stored account {self.name}"


type CredentialSource = Stored | Literal | Env | File | Command | Keyring
