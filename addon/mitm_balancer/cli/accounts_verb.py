"""`balancer accounts ...`: each verb below it is a file beside this one, imported only when it is asked for."""

from __future__ import annotations

import argparse
import importlib
from types import ModuleType

from mitm_balancer.cli.places import common

VERBS = {
    "list": "every account: where it comes from, its state, when its token ends",
    "import": "bring the logins and keys that the agents of this machine have",
    "login": "log in with the official client, in a home of its own, and take the login over",
    "capture": "for some minutes, watch for credentials that are no accounts yet",
    "pending": "what was captured and waits for a decision",
    "accept": "make an account of a captured credential",
    "dismiss": "forget a captured credential, and do not ask about it again",
    "add": "store a key; it is asked for, or read from stdin, and never an argument",
    "set": "change what a stored account serves, and how: models, weight, base URL, ...",
    "use": "new sessions of its provider go to this account",
    "rename": "another alias; cooldowns, usage and sessions follow it",
    "remove": "forget a stored account and its credential",
    "enable": "let an account serve again",
    "disable": "keep an account, but give it no work",
    "test": "ask the provider, with one small free request, whether it takes the credential",
    "export": "write stored credentials in the clear, for a move to another machine",
    "restore": "store what export wrote",
}
"""Verb and help. The module is `cli.accounts_<verb>`, with `arguments(parser)` and `main(args) -> int`."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="the list as one JSON object")
    verbs = parser.add_subparsers(dest="accounts_verb", metavar="VERB", title="verbs", help="default: list")
    for verb, text in VERBS.items():
        sub = verbs.add_parser(verb, help=text, description=text[0].upper() + text[1:].rstrip("., ") + ".")
        common(sub, argparse.SUPPRESS)
        _module(verb).arguments(sub)


def main(args: argparse.Namespace) -> int:
    return int(_module(args.accounts_verb or "list").main(args))


def _module(verb: str) -> ModuleType:
    return importlib.import_module(f"mitm_balancer.cli.accounts_{verb}")
