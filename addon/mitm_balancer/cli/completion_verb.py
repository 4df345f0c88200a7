"""`balancer completion SHELL` prints the script that completes verbs, options and account names there."""

from __future__ import annotations

import argparse
import sys

INSTALL = {
    "bash": 'eval "$(balancer completion bash)"   # in ~/.bashrc',
    "zsh": 'eval "$(balancer completion zsh)"   # in ~/.zshrc, after compinit',
    "fish": "balancer completion fish | source   # in ~/.config/fish/config.fish",
}
"""The line that installs it."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=INSTALL, help="the shell that is to complete")


def main(args: argparse.Namespace) -> int:
    from argcomplete.shell_integration import shellcode  # noqa: PLC0415 - only here and when a shell asks

    print(shellcode(["balancer"], shell=args.shell))
    if sys.stdout.isatty():
        print(f"this is the script; the line that installs it:\n  {INSTALL[args.shell]}", file=sys.stderr)
    return 0
