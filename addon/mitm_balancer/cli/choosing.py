"""Questions with more than two answers, on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from mitm_balancer.cli.output import CliError


def can_ask() -> bool:
    """Whether somebody sits there."""
    return sys.stdin.isatty()


def asked(question: str) -> str:
    """One line, stripped. CliError at the end of the input."""
    print(question, end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    if not line:
        print(file=sys.stderr)
        raise CliError("nothing more was changed")
    return line.strip()


def choose(question: str, options: Mapping[str, str], default: str) -> str:
    """One of the keys of `options` (letter -> meaning); an empty answer is the default."""
    for letter, meaning in options.items():
        print(f"    {letter}  {meaning}", file=sys.stderr)
    letters = "/".join(letter.upper() if letter == default else letter for letter in options)
    while True:
        answer = asked(f"{question} [{letters}] ").lower() or default
        if answer in options:
            return answer
