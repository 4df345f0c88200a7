"""`balancer priority ...`: who serves first, which provider stands in for which, and what is pinned."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from mitm_balancer.cli import priority_view
from mitm_balancer.cli.board import StoreBoard, operate
from mitm_balancer.cli.completing import complete_accounts, complete_targets
from mitm_balancer.cli.output import CliError
from mitm_balancer.cli.places import common
from mitm_balancer.config import STRATEGIES
from mitm_balancer.config.priority import ACROSS
from mitm_balancer.core.matrix import Rename
from mitm_balancer.operations import Report, ordering

VERBS = {
    "list": "the matrix of providers, the accounts in their order, and who serves now",
    "move": "an account among those of its provider, or a provider in the matrix",
    "enable": "let a provider stand in for others of the matrix (and be stood in for)",
    "disable": "let a provider serve nobody, not even its own clients",
    "model": "what is asked of a provider that stands in; - for the client's own model",
    "strategy": "which of a provider's accounts serves",
    "across": "what becomes of a conversation that another provider has served",
    "pin": "let one account serve certain models, or a session, and no other account",
    "unpin": "take a pin back",
    "reset": "let the configuration count again",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(priority_verb="list", model="")
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    parser.add_argument("--reset", action="store_true", help="let the configuration count again, in everything")
    verbs = parser.add_subparsers(dest="priority_verb", metavar="VERB", title="verbs", help="default: list")
    for verb, text in VERBS.items():
        sub = verbs.add_parser(verb, help=text, description=text[0].upper() + text[1:].rstrip("., ") + ".")
        common(sub, argparse.SUPPRESS)
        sub.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="as one JSON object")
        _WORDS[verb](sub)


def main(args: argparse.Namespace) -> int:
    if args.reset:
        return _operate(args, ordering.reset)
    match args.priority_verb or "list":
        case "move":
            return _operate(args, lambda board: ordering.move(board, args.name, args.where))
        case "enable":
            return _operate(args, lambda board: ordering.enable(board, args.provider, _models(args.models)))
        case "disable":
            return _operate(args, lambda board: ordering.disable(board, args.provider))
        case "model":
            return _operate(args, lambda board: ordering.model(board, args.provider, _models(args.models)))
        case "strategy":
            return _operate(args, lambda board: ordering.strategy(board, args.strategy))
        case "across":
            return _operate(args, lambda board: ordering.across(board, args.across))
        case "pin":
            return _operate(args, lambda board: ordering.pin(board, args.account, args.models, _session(board, args)))
        case "unpin":
            return _operate(args, lambda board: ordering.unpin(board, args.models, _session(board, args)))
        case "reset":
            return _operate(args, lambda board: ordering.reset(board, args.what))
        case _:
            return priority_view.show(args)


def _operate(args: argparse.Namespace, operation: Callable[[StoreBoard], Report]) -> int:
    def told(board: StoreBoard) -> Report:
        try:
            return operation(board)
        except ordering.OrderError as e:
            raise CliError(str(e)) from e

    return operate(args, told)


def _session(board: StoreBoard, args: argparse.Namespace) -> str:
    """The session that is meant: its own id, or that of a request which belongs to it (as `why` takes it)."""
    told: str = args.session
    trace = board.store.get_trace(told) if told else None
    if trace is None:
        if told == "last":
            raise CliError("no request is known yet: give the agent's id of the session")
        return told
    if not trace.get("session"):
        raise CliError(f"nothing tells which session the request {trace.get('id')} belongs to")
    return str(trace["session"])


def _models(words: list[str]) -> Rename:
    """`glm-4.6`; `-` or nothing; or `*haiku*=glm-air *=glm`."""
    if not words or words == ["-"]:
        return None
    if len(words) == 1 and "=" not in words[0]:
        return words[0]
    pairs = [tuple(word.split("=", 1)) for word in words]
    if any(len(pair) != 2 or not all(pair) for pair in pairs):
        raise CliError("give one model, or GLOB=MODEL for each kind: '*haiku*=glm-4.5-air' '*=glm-4.6'", 2)
    return tuple((pair[0], pair[-1]) for pair in pairs)


def _list_words(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="", metavar="MODEL", help="who serves this model (default: any)")


def _move_words(parser: argparse.ArgumentParser) -> None:
    name = parser.add_argument("name", metavar="NAME", help="an account (provider/alias, or its alias) or a provider")
    name.completer = complete_targets  # type: ignore[attr-defined]
    parser.add_argument("where", metavar="WHERE", help="up, down, first, last, or a place from 1")


def _provider_words(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("provider", metavar="PROVIDER")


def _enable_words(parser: argparse.ArgumentParser) -> None:
    _provider_words(parser)
    _model_words(parser, "*")


def _model_words(parser: argparse.ArgumentParser, number: str = "+") -> None:
    text = "what to ask for: a model, - for the client's, or GLOB=MODEL for each kind of model"
    parser.add_argument("models", nargs=number, metavar="MODEL", help=text)


def _renamed_words(parser: argparse.ArgumentParser) -> None:
    _provider_words(parser)
    _model_words(parser)


def _pinned_words(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", dest="models", default="", metavar="GLOB", help="models, by glob")
    what.add_argument(
        "--session", default="", metavar="ID", help="the agent's id of it, or a request as `why` takes it"
    )


def _pin_words(parser: argparse.ArgumentParser) -> None:
    account = parser.add_argument("account", metavar="ACCOUNT", help="provider/alias, or its alias")
    account.completer = complete_accounts  # type: ignore[attr-defined]
    _pinned_words(parser)


def _strategy_words(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("strategy", choices=STRATEGIES, metavar="NAME", help=", ".join(STRATEGIES))


def _across_words(parser: argparse.ArgumentParser) -> None:
    text = "return (with the next turn), stay (until it is out), strict (rows above the client's provider go first)"
    parser.add_argument("across", choices=ACROSS, metavar="WORD", help=text)


def _reset_words(parser: argparse.ArgumentParser) -> None:
    text = f"{', '.join(ordering.RESETS)} (default: all of them)"
    parser.add_argument("what", nargs="*", metavar="WHAT", help=text)


_WORDS: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "list": _list_words,
    "move": _move_words,
    "enable": _enable_words,
    "disable": _provider_words,
    "model": _renamed_words,
    "strategy": _strategy_words,
    "across": _across_words,
    "pin": _pin_words,
    "unpin": _pinned_words,
    "reset": _reset_words,
}
