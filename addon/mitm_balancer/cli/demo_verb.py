"""`balancer demo`: one account is at its limit, another answers, and the agent sees nothing of it. Needs no network."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mitm_balancer.cli.demo_client import HOST, Event, Head, ask
from mitm_balancer.cli.demo_stage import LIMIT, stage
from mitm_balancer.cli.output import own_command, print_json
from mitm_balancer.core.durations import countdown
from mitm_balancer.paths import config_path, home_path
from mitm_balancer.testing import Record

AGENT_KEY = "key-of-the-agent"
"""What the agent sends; it must not reach the provider."""

INTRO = f"""\
Two accounts of one provider, both fake: work (out for {countdown(LIMIT)}) and spare.
A real proxy stands before them; an agent asks one question and streams the answer.

  seconds   the agent"""


@dataclass(slots=True)
class Seen:
    """What came to the agent."""

    head: Head | None = None
    events: list[Event] = field(default_factory=list)
    broken: str = ""
    proxy_log: str = ""

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="the outcome as one JSON object")


def main(args: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="balancer-demo-") as folder:
        seen, ledger = asyncio.run(_play(Path(folder), quiet=args.json))
    problems = judge(seen, ledger)
    if args.json:
        print_json(_as_json(seen, ledger, problems))
    else:
        print("\n".join(_conclusion(seen, ledger, problems)))
    return 1 if problems else 0


async def _play(folder: Path, *, quiet: bool) -> tuple[Seen, list[Record]]:
    seen = Seen()
    async with stage(folder) as scene:
        _say(INTRO, quiet)
        _say(f"   {0:6.2f}   sends POST https://{HOST}/v1/messages", quiet)
        try:
            async for item in ask(scene.proxy_port, scene.ca, AGENT_KEY):
                _take(seen, item, quiet)
        except (OSError, EOFError, TimeoutError, ValueError) as e:
            seen.broken = str(e) or type(e).__name__
        seen.proxy_log = scene.log.read_text(errors="replace")
        return seen, list(scene.fake.ledger)


def _take(seen: Seen, item: Head | Event, quiet: bool) -> None:
    if isinstance(item, Head):
        seen.head = item
        _say(f"            gets {item.status}, x-balancer: {item.headers.get('x-balancer', '(none)')}", quiet)
    else:
        seen.events.append(item)
        _say(f"   {item.at:6.2f}   {item.kind}{f'  {item.text!r}' if item.text else ''}", quiet)


def judge(seen: Seen, ledger: Sequence[Record]) -> list[str]:
    """What should have happened and did not; empty when all is well."""
    attempts = [(record.label, record.status) for record in ledger]
    status = seen.head.status if seen.head else None
    checks = {
        f"the agent's connection broke ({seen.broken})": not seen.broken,
        f"the agent got {status}, not 200": status == 200,
        "the stream did not come to its end": bool(seen.events) and seen.events[-1].kind == "message_stop",
        f"the provider saw {attempts}, not work's refusal and then spare's answer": attempts
        == [("work", 429), ("spare", 200)],
        "the agent's own key reached the provider": not any(_has_agent_key(record) for record in ledger),
    }
    return [problem for problem, holds in checks.items() if not holds]


def _has_agent_key(record: Record) -> bool:
    return AGENT_KEY.encode() in record.raw_head + record.body


def _conclusion(seen: Seen, ledger: Sequence[Record], problems: Sequence[str]) -> list[str]:
    lines = ["", "  What the provider saw meanwhile"]
    for number, record in enumerate(ledger, 1):
        note = "the agent never saw this" if record.status != 200 else "every byte passed on as it came"
        lines.append(f"  attempt {number}  account {record.label or 'unknown':6} -> {record.status}   {note}")
    if problems:
        return [*lines, "", *(f"FAILED: {problem}" for problem in problems), "", "The proxy said:", seen.proxy_log]
    return [
        *lines,
        "",
        f"It works: the agent saw one 200 with {len(seen.events)} events, and no limit.",
        f"With accounts of your own in {config_path(None, home_path())[0]}:",
        f"  {own_command()} exec -- claude",
    ]


def _as_json(seen: Seen, ledger: Sequence[Record], problems: Sequence[str]) -> dict[str, Any]:
    return {
        "ok": not problems,
        "problems": list(problems),
        "client": {
            "status": seen.head.status if seen.head else None,
            "x-balancer": seen.head.headers.get("x-balancer") if seen.head else None,
            "events": len(seen.events),
            "text": seen.text,
        },
        "attempts": [{"account": record.label, "status": record.status} for record in ledger],
    }


def _say(text: str, quiet: bool) -> None:
    if not quiet:
        print(text, flush=True)
