"""The console script `balancer`. Each verb is a file beside this one; it is imported only when it is asked for.

Exit codes: 0 ok, 1 refused or failed, 2 usage. `exec` passes its command's own. What fails with `--json` says
`{"error": ...}` on stdout, on one line, beside the sentence for people on stderr.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import ClassVar, NoReturn

from mitm_balancer import __version__
from mitm_balancer.cli.output import CliError, complain, print_error_json
from mitm_balancer.cli.places import common

VERBS = {
    "run": "start the proxy",
    "exec": "run an agent through the proxy; starts one when none is running",
    "env": "print the lines that point a shell at the proxy",
    "status": "accounts, cooldowns, and whether a proxy runs",
    "why": "which accounts a request went to, and why",
    "accounts": "list, add, import, log in, use, rename, remove, enable, disable, test accounts",
    "priority": "the order of accounts and providers, and the strategy",
    "on": "switch balancing on",
    "off": "switch balancing off: the active account serves, without failover",
    "usage": "what is left of each account's quota",
    "events": "what has happened, newest last; --follow goes on",
    "pause": "give an account or a provider no new work",
    "resume": "end a pause, a drain or a disable",
    "drain": "let what runs on an account finish, and begin nothing new",
    "disable": "switch an account or a provider off, until it is resumed",
    "clear": "forget an account's cooldowns and breaker: try it again now",
    "inspect": "all that is known about an account",
    "reload": "read the configuration again",
    "completion": "print the script that completes verbs and accounts in bash, zsh or fish",
    "doctor": "check the set-up, and name the cure of each finding",
    "demo": "watch a failover, offline, against a fake provider",
}
"""Verb and help. The module is `mitm_balancer.cli.<verb>_verb`, with `arguments(parser)` and `main(args) -> int`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    if "_ARGCOMPLETE" in os.environ:  # a shell asks for words
        from mitm_balancer.cli.completing import complete  # noqa: PLC0415

        complete(_parser(os.environ.get("COMP_LINE", "").split()))
    words, agent = _split(list(sys.argv[1:] if argv is None else argv))
    parser = _parser(words)
    args = parser.parse_args(words)
    if agent is not None:
        if args.verb != "exec":
            parser.error("only exec takes a command after --")
        args.command += agent
    if args.verb is None:
        parser.print_help()
        return 2
    try:
        return int(importlib.import_module(f"mitm_balancer.cli.{args.verb}_verb").main(args))
    except CliError as e:
        if getattr(args, "json", False):
            print_error_json(str(e))
        complain(str(e))
        return e.code
    except BrokenPipeError:  # `balancer status | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130


def _split(words: list[str]) -> tuple[list[str], list[str] | None]:
    """Ours, and the agent's command line after `--`, which no parser of ours may look into."""
    if "--" not in words:
        return words, None
    place = words.index("--")
    return words[:place], words[place + 1 :]


class _Parser(argparse.ArgumentParser):
    """Parsers of verbs are of the same class: argparse takes that of the parser above."""

    as_json: ClassVar[bool] = False

    def error(self, message: str) -> NoReturn:
        if self.as_json:
            print_error_json(message)
        super().error(message)


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    _Parser.as_json = "--json" in words
    parser = _Parser(
        prog="balancer",
        description="Several of your own accounts behind one proxy: a limit on one is hidden by another.",
        epilog="Start here: balancer demo",
    )
    parser.add_argument("--version", action="version", version=f"balancer {__version__}")
    common(parser, "")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")
    for verb, text in VERBS.items():
        sub = verbs.add_parser(verb, help=text, description=text[0].upper() + text[1:].rstrip("., ") + ".")
        common(sub, argparse.SUPPRESS)
        if verb in words:
            importlib.import_module(f"mitm_balancer.cli.{verb}_verb").arguments(sub)
    return parser


if __name__ == "__main__":
    sys.exit(main())
