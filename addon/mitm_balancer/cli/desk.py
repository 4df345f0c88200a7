"""What the account verbs work at: the configuration, the store, the book, and the one list that both make."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.model import AccountError, StoredAccount
from mitm_balancer.accounts.roster import merge, place
from mitm_balancer.accounts.vault import Vault
from mitm_balancer.cli.board import Line
from mitm_balancer.cli.bus import opened
from mitm_balancer.cli.output import CliError
from mitm_balancer.cli.places import existing_home, home_of
from mitm_balancer.cli.roster_view import declared
from mitm_balancer.config import AccountSpec, Config
from mitm_balancer.operations import overrides
from mitm_balancer.operations.targets import nothing
from mitm_balancer.providers.model import Provider
from mitm_balancer.providers.registry import Registry
from mitm_balancer.store import Store

WRITE_SECONDS = 5.0
"""For a write to be on disk; the store's own patience is a second."""


@dataclass(slots=True)
class Desk:
    """Open for the length of one command."""

    home: Path
    config: Config
    store: Store
    book: AccountBook
    mistakes: str = ""
    """Why the configuration cannot be read; `config` is then what the running proxy goes on with, no credentials."""

    @property
    def roster(self) -> Config:
        """Declared and stored accounts in one list, as commands have ordered them."""
        return overrides.apply(merge(self.config, self.book.all())[0], self.store.settings())

    def provider(self, name: str) -> Provider:
        """A built-in provider, or one of the configuration. CliError."""
        known = {provider.name: provider for provider in Registry(self.config.all_providers())}
        if name not in known and self.mistakes:
            raise CliError(self.mistakes)
        if name not in known:
            raise CliError(f"no provider is named {name}; there are: {', '.join(sorted(known))}", 2)
        return known[name]

    def spec(self, text: str) -> AccountSpec:
        """The account that the user means: `provider/alias`, or an alias that only one has. CliError."""
        return _only(text, {spec.name: spec for spec in self.roster.accounts})

    def stored(self, text: str, doing: str) -> StoredAccount:
        """A stored account, also one that cannot be used. CliError for a declared one: it is changed in its file."""
        stored = {account.name: account for account in self.book.all()}
        declared = {spec.name: spec for spec in self.config.accounts}
        name = _only(text, {name: name for name in (*stored, *declared)})
        if name not in stored:
            raise CliError(f"{name} is declared in {place(declared[name], self.config)}: {doing} it there")
        return stored[name]

    def order(self, provider: str) -> list[str]:
        """The provider's accounts that can be switched to, the first first."""
        flags = self.store.account_flags()
        specs = (spec for spec in self.roster.accounts if spec.provider == provider and spec.enabled)
        able = [spec for spec in specs if not flags.get(spec.name, {}).get("disabled")]
        return [spec.name for spec in sorted(able, key=lambda spec: spec.priority)]

    def told(self) -> str:
        """Wait until a running proxy obeys what was changed; what to say about it."""
        line = Line(self.store, self.home)
        line.tell("obey", {})
        return line.told

    def durable(self, done: Future[bool]) -> None:
        """Wait until it is on disk. CliError when it cannot be."""
        try:
            kept = done.result(WRITE_SECONDS)
        except TimeoutError:
            kept = False
        if not kept:
            raise CliError(f"{self.store.path} cannot be written: {self.store.healthy or 'it is busy'}")


@contextlib.contextmanager
def desk(args: argparse.Namespace, *, make: bool = False) -> Iterator[Desk]:
    """The desk of a command. `make`: a home that does not exist is made; otherwise that is a CliError."""
    home = existing_home(args) if make else home_of(args)
    with _store(home, make=make) as store:
        config, mistakes = declared(args, home, store)
        try:
            yield Desk(home, config, store, AccountBook(store, Vault.open(home)), mistakes)
        except AccountError as error:
            raise CliError(str(error)) from error


@contextlib.contextmanager
def _store(home: Path, *, make: bool) -> Iterator[Store]:
    with opened(home, make=make) as store:
        if store is None:
            raise CliError(f"{home} has no accounts: balancer accounts add PROVIDER stores one")
        yield store


def _only[T](text: str, known: dict[str, T]) -> T:
    if text in known:
        return known[text]
    same = [name for name in known if name.partition("/")[2] == text]
    if len(same) == 1:
        return known[same[0]]
    if same:
        raise CliError(f"{text} is the alias of several accounts, say which: {', '.join(same)}")
    words = [word for name in known for word in (name, name.partition("/")[2])]
    raise CliError(nothing(text, list(known), words, "account"))
