"""`balancer accounts import`: bring the logins and keys that the agents of this machine have."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mitm_balancer.accounts.alias import normalized
from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.importing.model import LARGEST, BadEntryError, Harvest, Surroundings
from mitm_balancer.accounts.importing.moving import take_out
from mitm_balancer.accounts.importing.plan import Candidate, Share, plan, shared
from mitm_balancer.accounts.importing.sources import SOURCES, search, search_bytes, search_file
from mitm_balancer.accounts.model import AccountError, StoredAccount
from mitm_balancer.accounts.vault import Vault
from mitm_balancer.cli.bus import opened
from mitm_balancer.cli.choosing import asked, can_ask, choose
from mitm_balancer.cli.desk import Desk, desk
from mitm_balancer.cli.import_view import as_json, lines, looked_at, problems_json
from mitm_balancer.cli.output import CliError, complain, own_command, print_json
from mitm_balancer.cli.places import config_of, home_of
from mitm_balancer.config import Config
from mitm_balancer.providers.registry import Registry

SHARES = {
    "a": "access token only: the agent keeps its login, and the balancer goes along when the agent renews it "
    "through the proxy",
    "m": "move: the balancer gets the login and renews it. It goes out of the agent's file (close the agent first); "
    "the agent needs another login, or a placeholder, to start",
    "c": "copy: both have it. Whoever renews it second is refused, and has to log in again",
    "s": "skip it",
}
_ANEW = "the agent wants a login of its own to start: log it in again"
_START_AGAIN = {"claude": "Claude Code starts with a placeholder: ANTHROPIC_API_KEY=placeholder"}
"""What the agents want after a move (tried with Claude Code and Codex)."""
_LETTERS = {"a": Share.ACCESS_ONLY, "m": Share.MOVE, "c": Share.COPY}


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of one candidate."""

    candidate: Candidate
    account: StoredAccount
    share: Share | None
    """None: its token may have many owners."""
    backup: Path | None = None


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="agent", choices=tuple(SOURCES), help="only from this one; default: all")
    parser.add_argument("--file", metavar="FILE", help="read this file as one of that agent's; - is stdin")
    share = parser.add_mutually_exclusive_group()
    share.add_argument(
        "--access-only", dest="share", action="store_const", const=Share.ACCESS_ONLY,
        help="of a login whose refresh token is good for one use, take the access token (the default with --yes)",
    )  # fmt: skip
    share.add_argument(
        "--move", dest="share", action="store_const", const=Share.MOVE, help="take such a login out of the agent's file"
    )
    share.add_argument(
        "--copy", dest="share", action="store_const", const=Share.COPY, help="share such a login with the agent"
    )
    parser.add_argument("--yes", action="store_true", help="store all that is new, ask nothing")
    parser.add_argument("--json", action="store_true", help="as one JSON object; without --yes nothing is stored")


def main(args: argparse.Namespace) -> int:
    if args.file and not args.agent:
        raise CliError("--file needs --from: whose file is it?", 2)
    home = home_of(args)
    config = config_of(args, home)
    harvests = _search(args, _surroundings(config))
    wanted = args.yes or (can_ask() and not args.json and args.file != "-")
    saved: list[Saved] = []
    if wanted and any(harvest.found for harvest in harvests):
        with desk(args, make=True) as at:
            candidates = plan(harvests, at.book.all(), config.accounts)
            _show(args, harvests, candidates)
            saved = list(_save_all(at, args, candidates))
            if saved:
                at.told()
    else:
        candidates = plan(harvests, _stored(home), config.accounts)
        _show(args, harvests, candidates)
    if args.json:
        print_json(_json(harvests, candidates, saved))
    elif any(c.news for c in candidates) and not saved and not args.yes:
        print(f"nothing was stored; {own_command()} accounts import --yes stores all that is new")
    failed = bool(args.agent) and not candidates
    return 1 if failed or (args.yes and any(c.is_newer for c in candidates) and not saved) else 0


def _stored(home: Path) -> list[StoredAccount]:
    """What is stored, for a look that stores nothing and makes no home."""
    with opened(home) as store:
        return AccountBook(store, Vault.open(home)).all() if store is not None else []


def _surroundings(config: Config) -> Surroundings:
    names = frozenset(provider.name for provider in Registry(config.all_providers()))
    return Surroundings(dict(os.environ), Path.home(), Path.cwd(), sys.platform, names)


def _search(args: argparse.Namespace, around: Surroundings) -> list[Harvest]:
    if args.file == "-":
        return [search_bytes(around, args.agent, sys.stdin.buffer.read(LARGEST))]
    if args.file:
        return [search_file(around, args.agent, Path(args.file).expanduser())]
    return search(around, [args.agent] if args.agent else list(SOURCES))


def _show(args: argparse.Namespace, harvests: list[Harvest], candidates: list[Candidate]) -> None:
    if args.json:
        return
    if candidates:
        print("\n".join(lines(candidates, time.time())))
    else:
        print(f"nothing was found; looked at {looked_at(harvests)}")
    for problem in (problem for harvest in harvests for problem in harvest.problems):
        complain(str(problem))


def _save_all(at: Desk, args: argparse.Namespace, candidates: list[Candidate]) -> Iterator[Saved]:
    for candidate in candidates:
        if not _is_wanted(args, candidate):
            continue
        alias, share = _decide(args, candidate)
        if alias is None:
            continue
        try:
            saved = _save(at, candidate, alias, share)
        except AccountError as error:
            complain(f"{candidate.found.place}: {error}")
            continue
        if not args.json:
            _tell(saved)
        yield saved


def _is_wanted(args: argparse.Namespace, candidate: Candidate) -> bool:
    """Whether to store it, or to ask. A known account gets nothing older or other without being asked for it."""
    if args.share in (Share.MOVE, Share.COPY) and candidate.has_more:
        return True
    return candidate.is_newer if args.yes and args.share is None else candidate.news


def _decide(args: argparse.Namespace, candidate: Candidate) -> tuple[str | None, Share | None]:
    """The alias (None: skip it) and whose the refresh token shall be."""
    found = candidate.found
    if args.yes:
        share = args.share or Share.ACCESS_ONLY
        if share is Share.MOVE and found.login is None and found.rotates:
            complain(f"{found.place}: cannot be taken out of there, so only its access token is taken")
            share = Share.ACCESS_ONLY
        return candidate.alias, share if found.rotates else None
    print(file=sys.stderr)
    alias: str | None = candidate.alias
    if candidate.stored is not None:
        if asked(f"{found.place}: renew {candidate.name} with it? [y/N] ").lower() not in ("y", "yes"):
            return None, None
    else:
        alias = _alias(candidate)
    if alias is None or not found.rotates:
        return alias, None
    if args.share is not None and not (args.share is Share.MOVE and found.login is None):
        return alias, args.share
    print("  Its refresh token is good for one use: it cannot have two owners.", file=sys.stderr)
    options = {letter: text for letter, text in SHARES.items() if letter != "m" or found.login is not None}
    letter = choose(" ", options, "a")
    return (None, None) if letter == "s" else (alias, _LETTERS[letter])


def _alias(candidate: Candidate) -> str | None:
    while True:
        answer = asked(f"{candidate.found.place}: store it as {candidate.name}? [Y/n, or another alias] ")
        if answer.lower() in ("", "y", "yes"):
            return candidate.alias
        if answer.lower() in ("n", "no"):
            return None
        try:
            return normalized(answer)
        except AccountError as error:
            complain(str(error))


def _save(at: Desk, candidate: Candidate, alias: str, share: Share | None) -> Saved:
    """Stored first, durable, and only then taken out of the agent's file."""
    found = candidate.found
    name = f"{found.provider}/{alias}"
    if candidate.stored is None and alias != candidate.alias:
        taken = {account.name for account in at.book.all()} | {spec.name for spec in at.config.accounts}
        if name in taken:
            raise AccountError(f"Account already exists: {name}")
    credential = found.credential if share is None else shared(found.credential, share)
    account = at.book.save(found.provider, alias, credential, f"import:{found.agent}")
    if found.disabled:
        at.durable(at.store.set_account_flag(account.name, "disabled", True))
    backup = None
    if share is Share.MOVE and found.login is not None:
        try:
            backup = take_out(found.login)
        except BadEntryError as error:
            complain(f"{found.place}: {error}; it is stored, but the agent has it as well: log the agent out there")
    return Saved(candidate, account, share, backup)


def _tell(saved: Saved) -> None:
    name, place = saved.account.name, saved.candidate.found.place
    disabled = ", disabled as it was there" if saved.candidate.found.disabled else ""
    match saved.share:
        case Share.ACCESS_ONLY:
            print(f"{name} is stored with its access token only{disabled}")
            print(f"  the login stays in {place}: run its agent through the proxy, and the account goes along")
        case Share.MOVE if saved.backup is not None:
            print(f"{name} is stored; its login is no longer in {place}")
            print(f"  what was there is in {saved.backup}: delete it when all is well")
            print(f"  {_START_AGAIN.get(saved.candidate.found.agent, _ANEW)}")
        case Share.COPY:
            print(f"{name} is stored, and {place} has the same login: whoever renews it second is refused")
        case _:
            print(f"{name} is stored{disabled}")


def _json(harvests: list[Harvest], candidates: list[Candidate], saved: list[Saved]) -> dict[str, Any]:
    made = {
        id(one.candidate): {
            "saved_as": one.account.name,
            "share": one.share,
            "backup": str(one.backup) if one.backup else None,
        }
        for one in saved
    }
    found = [as_json(candidate) | made.get(id(candidate), {"saved_as": None}) for candidate in candidates]
    return {"found": found, "problems": problems_json(harvests)}
