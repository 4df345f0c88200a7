"""Questions to the user. Where nobody can answer, nothing is assumed: the error names the option that answers."""

from __future__ import annotations

import getpass
import sys

from mitm_balancer.cli.output import CliError

LONGEST = 64 * 1024
"""Characters of a credential on stdin: no token comes near."""


def confirm(question: str, *, yes: bool) -> None:
    """Ask, unless `yes`. CliError when the answer is not y, or when nobody can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise CliError(f"{question} Nobody can be asked here: --yes says yes")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CliError("nothing was changed")


def hidden_line(prompt: str) -> str:
    """A secret, typed without being shown; or all of stdin, when that is no terminal."""
    if not sys.stdin.isatty():
        text = sys.stdin.read(LONGEST + 1)
        if len(text) > LONGEST:
            raise CliError("stdin holds more than a credential")
        return text.strip()
    try:
        return getpass.getpass(f"{prompt} (not shown): ").strip()
    except EOFError:
        raise CliError("no credential was given") from None
