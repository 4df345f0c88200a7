"""`balancer accounts add PROVIDER`: store a key. It comes from a prompt or from stdin, never from the command line."""

from __future__ import annotations

import argparse

from mitm_balancer.accounts.alias import normalized
from mitm_balancer.accounts.credentials import CredentialError, checked
from mitm_balancer.accounts.model import AccountSettings, Credential, StoredAccount
from mitm_balancer.accounts.roster import place
from mitm_balancer.accounts.shapes import complaint, ends_at, kind_of
from mitm_balancer.cli.account_settings import add_settings, settings_given
from mitm_balancer.cli.asking import confirm, hidden_line
from mitm_balancer.cli.desk import Desk, desk
from mitm_balancer.cli.output import CliError, own_command, print_json
from mitm_balancer.config.accounts import IDENTITY, sendable_identity
from mitm_balancer.providers.model import Provider

SOURCE = "add"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("provider", metavar="PROVIDER", help="anthropic, openai, gemini, openrouter, ...")
    parser.add_argument("key", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--alias", help="what to call it; five random characters when none is given")
    add_settings(parser)
    parser.add_argument(
        "--identity", action="append", default=[], metavar="WORD=ID", help=f"beside the key: {', '.join(IDENTITY)}"
    )
    parser.add_argument("--keep", action="store_true", help="do not switch to it; the account in use stays")
    parser.add_argument("--yes", action="store_true", help="do not ask about an odd key or an alias in use")
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def main(args: argparse.Namespace) -> int:
    if args.key:
        raise CliError(
            "the key is asked for, or read from stdin, and never an argument: others see those, and the shell keeps "
            "them. If this was a key, take it out of the shell's history",
            2,
        )
    with desk(args, make=True) as at:
        provider = at.provider(args.provider)
        alias = normalized(args.alias) if args.alias else None
        _refuse_declared(at, provider.name, alias)
        there = at.book.find(f"{provider.name}/{alias}") if alias is not None else None
        # Before the key is asked for: what is wrong on the command line is told first.
        settings = settings_given(args, there.settings if there is not None else AccountSettings(), provider)
        credential = _credential(provider, args, settings)
        known = at.book.same(provider.name, credential)
        if known is not None:
            settings = settings_given(args, known.settings, provider)
        elif there is not None:
            confirm(f"{there.name} holds another credential. Replace it?", yes=args.yes)
        saved = at.book.save(
            provider.name,
            alias,
            credential,
            SOURCE,
            settings,
            activate=not args.keep and settings.priority <= 0,
            taken=[spec.alias for spec in at.config.accounts if spec.provider == provider.name],
        )
        told = at.told()
    _tell(args, saved, known, alias)
    if not args.json:
        print(told)
    return 0


def _tell(args: argparse.Namespace, saved: StoredAccount, known: StoredAccount | None, alias: str | None) -> None:
    if args.json:
        print_json({"account": saved.name, "kind": saved.kind, "new": known is None, "expires_at": saved.expires_at})
        return
    if known is not None:
        print(f"{saved.name} has this credential already; it was stored anew")
        if alias is not None and alias != saved.alias:
            print(f"it keeps its name: {own_command()} accounts rename {saved.name} {alias} changes that")
        return
    print(f"{saved.name} is stored, sealed; see whether it works: {own_command()} accounts test {saved.name}")


def _refuse_declared(at: Desk, provider: str, alias: str | None) -> None:
    for spec in at.config.accounts:
        if alias is not None and spec.name == f"{provider}/{alias}":
            raise CliError(f"Account already exists: {spec.name} is declared in {place(spec, at.config)}")


def _credential(provider: Provider, args: argparse.Namespace, settings: AccountSettings) -> Credential:
    identity = _identity(args.identity)
    try:
        secret = checked(hidden_line(f"Key of {provider.name}"), "the key")
    except CredentialError as error:
        raise CliError(str(error)) from None
    text = secret.reveal()
    if any(char.isspace() for char in text):
        raise CliError("the key holds a space: it must be the key alone")
    odd = "" if provider.custom else complaint(provider.name, text)
    if odd and settings.base_url is None:  # a gateway has keys of its own
        confirm(f"{odd[0].upper()}{odd[1:]}. Store it for {provider.name} all the same?", yes=args.yes)
    return Credential(kind_of(text), secret, expires_at=ends_at(text), identity=identity)


def _identity(given: list[str]) -> dict[str, str]:
    words = dict(entry.partition("=")[::2] for entry in given)
    if unknown := words.keys() - set(IDENTITY):
        raise CliError(f"--identity {', '.join(sorted(unknown))}: expected WORD=ID with {', '.join(IDENTITY)}", 2)
    if bad := words.keys() - {word for word, _ in sendable_identity(words)}:
        raise CliError(f"--identity {', '.join(sorted(bad))}: expected an id of letters, digits and . _ : -", 2)
    return words
