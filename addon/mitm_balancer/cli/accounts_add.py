"""`balancer accounts add PROVIDER`: store a key. It comes from a prompt or from stdin, never from the command line."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable

from mitm_balancer.accounts.alias import normalized
from mitm_balancer.accounts.credentials import CredentialError, checked
from mitm_balancer.accounts.model import AccountSettings, Credential, StoredAccount
from mitm_balancer.accounts.shapes import complaint, ends_at, kind_of
from mitm_balancer.cli.asking import confirm, hidden_line
from mitm_balancer.cli.desk import Desk, desk
from mitm_balancer.cli.output import CliError, own_command, print_json
from mitm_balancer.config.accounts import IDENTITY, sendable_identity
from mitm_balancer.config.nodes import BadValueError
from mitm_balancer.config.urls import read_base_url
from mitm_balancer.providers.model import Provider
from mitm_balancer.roster import place

SOURCE = "add"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("provider", metavar="PROVIDER", help="anthropic, openai, gemini, openrouter, ...")
    parser.add_argument("key", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--alias", help="what to call it; five random characters when none is given")
    parser.add_argument("--priority", type=int, metavar="N", help="lower goes first; a higher number is a reserve")
    parser.add_argument("--weight", type=_positive(float), metavar="W", help="its share, with the strategy weighted")
    parser.add_argument("--models", metavar="GLOB,...", help="the models that it serves; default: all")
    parser.add_argument("--base-url", metavar="URL", help="send its attempts elsewhere; azure needs one")
    parser.add_argument("--concurrency-limit", type=_positive(int), metavar="N", help="requests at once; default 8")
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
        settings = _settings(args, provider)
        identity = _identity(args.identity)
        alias = normalized(args.alias) if args.alias else None
        _refuse_declared(at, provider.name, alias)
        credential = _credential(provider, identity, odd_is_fine=args.yes or settings.base_url is not None)
        known = at.book.same(provider.name, credential)
        if known is None and alias is not None and (there := at.book.find(f"{provider.name}/{alias}")) is not None:
            confirm(f"{there.name} holds another credential. Replace it?", yes=args.yes)
        given = any(getattr(args, word) is not None for word in ("priority", "weight", "models", "base_url"))
        given = given or args.concurrency_limit is not None
        taken = [spec.alias for spec in at.config.accounts if spec.provider == provider.name]
        saved = at.book.save(
            provider.name,
            alias,
            credential,
            SOURCE,
            settings if given or known is None else None,
            activate=not args.keep and not (args.priority or 0) > 0,
            taken=taken,
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


def _credential(provider: Provider, identity: dict[str, str], *, odd_is_fine: bool) -> Credential:
    try:
        secret = checked(hidden_line(f"Key of {provider.name}"), "the key")
    except CredentialError as error:
        raise CliError(str(error)) from None
    text = secret.reveal()
    if any(char.isspace() for char in text):
        raise CliError("the key holds a space: it must be the key alone")
    odd = "" if provider.custom else complaint(provider.name, text)
    if odd and not odd_is_fine:
        confirm(f"{odd[0].upper()}{odd[1:]}. Store it for {provider.name} all the same?", yes=False)
    return Credential(kind_of(text), secret, expires_at=ends_at(text), identity=identity)


def _settings(args: argparse.Namespace, provider: Provider) -> AccountSettings:
    """What was said on the command line, over the defaults."""
    if args.base_url is not None:
        try:
            read_base_url(args.base_url)
        except BadValueError as bad:
            raise CliError(f"--base-url: {bad}", 2) from None
    elif provider.needs_base_url and not provider.hosts:
        raise CliError(f"{provider.name} has no address of its own: --base-url states your endpoint", 2)
    models = tuple(glob.strip() for glob in (args.models or "").split(",") if glob.strip())
    given = {
        "priority": args.priority,
        "weight": args.weight,
        "models": models or None,
        "base_url": args.base_url,
        "concurrency_limit": args.concurrency_limit,
    }
    return dataclasses.replace(AccountSettings(), **{key: value for key, value in given.items() if value is not None})


def _identity(given: list[str]) -> dict[str, str]:
    words = dict(entry.partition("=")[::2] for entry in given)
    if unknown := words.keys() - set(IDENTITY):
        raise CliError(f"--identity {', '.join(sorted(unknown))}: expected WORD=ID with {', '.join(IDENTITY)}", 2)
    if bad := words.keys() - {word for word, _ in sendable_identity(words)}:
        raise CliError(f"--identity {', '.join(sorted(bad))}: expected an id of letters, digits and . _ : -", 2)
    return words


def _positive[N: (int, float)](kind: type[N]) -> Callable[[str], N]:
    def read(text: str) -> N:
        found = kind(text)
        if not 0 < found < float("inf"):
            raise ValueError
        return found

    read.__name__ = f"number above 0, not {kind.__name__}"
    return read
