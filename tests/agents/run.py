"""`python tests/agents/run.py`: real agents through the balancer, against the fake provider; prints a table.

Installs the agents from npm and PyPI into $BALANCER_AGENTS (or a temporary folder). Exit 1: something was not as
expected. Nothing but loopback is reachable from a
turn: every CONNECT leads to the fake provider or is refused.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from expect import unmet
from ground import Tunnel, Turn, balancer, bare_environment, turn
from scenarios import PROBES, SCENARIOS, Scenario

from agents import AGENTS, CLIENTS, Agent
from mitm_balancer.cli.clientenv import variables
from mitm_balancer.testing import FakeProvider, Record, make_ca, steps

HOSTS = (
    "api.anthropic.com",
    "api.openai.com",
    "chatgpt.com",
    "generativelanguage.googleapis.com",
    "api.githubcopilot.com",
    "api.individual.githubcopilot.com",
    "api.github.com",
)
LABELS = {"KEY-A": "a", "KEY-B": "b"}


type Result = dict[str, Any]


async def run(agent: Agent, scenario: Scenario, tools: Path, folder: Path, *, direct: bool, http: bool) -> Result:
    """One turn; what the agent showed and what the provider saw."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    ca = make_ca(folder / "ca")
    own = "a" if direct else "client"
    labels = LABELS | dict.fromkeys(CLIENTS, own)
    async with FakeProvider(labels, ca=ca, names=("127.0.0.1", *HOSTS), http2=True) as fake:
        scenario.script(fake)
        agent.answers(fake)
        if http:
            for path in ("/v1/responses", "/backend-api/codex/responses"):
                fake.route("GET", path, steps.status(426))
        async with Tunnel(frozenset(HOSTS), fake.port) as tunnel:
            home = folder / "home"
            env = bare_environment(home) | dict(agent.env) | {"SSL_CERT_FILE": str(ca.cert_path)}
            agent.prepare(home)
            command = [str(binary(agent, tools)), *agent.argv]
            work, limit = folder / "work", scenario.limit
            log = ""
            kill = asyncio.Event() if scenario.killed else None
            watching = asyncio.ensure_future(_answering(fake, agent, kill))
            if direct:
                env |= variables(tunnel.url, ca.cert_path, ca.cert_path, {})
                done = await turn(command, env, work, limit, kill)
            else:
                config = {"version": 1, "accounts": [_account(agent, alias, key) for key, alias in LABELS.items()]}
                async with balancer(folder, json.dumps(config), ca.cert_path, tunnel.url) as proxy:
                    done = await turn(proxy.wrapped(command), env, work, limit, kill)
                    await asyncio.sleep(1.0)
                    log = proxy.log.read_text(errors="replace")
            watching.cancel()
            if direct:
                await asyncio.sleep(0.3)
            return _report(agent, scenario, done, fake, tunnel, log)


async def _answering(fake: FakeProvider, agent: Agent, kill: asyncio.Event | None) -> None:
    """Set the event a second after the agent's turn began to be answered."""
    while kill is not None and not any(agent.path in r.target and r.bytes_sent for r in fake.ledger):
        await asyncio.sleep(0.05)
    await asyncio.sleep(1.0)
    if kill is not None:
        kill.set()


def _account(agent: Agent, alias: str, key: str) -> Result:
    return {"provider": agent.provider, "alias": alias, "credential": key, "priority": 0 if alias == "a" else 1}


def _report(agent: Agent, scenario: Scenario, done: Turn, fake: FakeProvider, tunnel: Tunnel, log: str) -> Result:
    turns = [record for record in fake.ledger if agent.path in record.target and record.method != "HEAD"]
    return {
        "agent": agent.name,
        "scenario": scenario.name,
        "code": done.code,
        "seconds": round(done.seconds, 1),
        "killed_at": done.killed_at,
        "lines": done.lines,
        "records": [_record(record) for record in turns],
        "others": dict(Counter(_line(record) for record in fake.ledger if record not in turns)),
        "refused": dict(Counter(tunnel.refused)),
        "joined": dict(Counter(tunnel.joined)),
        "log": log,
    }


def _line(record: Record) -> str:
    return f"{record.method} {record.target.partition('?')[0]} {record.status} {record.label}"


def _record(record: Record) -> Result:
    return {
        "at": record.at,
        "label": record.label,
        "carriers": record.carriers,
        "connection": record.connection_id,
        "http": record.http_version,
        "method": record.method,
        "target": record.target,
        "head": [[n.decode("latin-1"), v.decode("latin-1")] for n, v in record.headers],
        "body": len(record.body),
        "body_head": record.body[:200].decode("latin-1"),
        "step": record.step,
        "status": record.status,
        "billed": record.accepted_generation,
        "sent": record.bytes_sent,
        "gone_at": record.gone_at,
        "ended_at": record.ended_at,
        "finished": record.finished,
        "messages": [message[:300] for message in record.messages],
    }


def show(result: Result) -> str:
    seen = ", ".join(
        f"{r['label'] or 'UNKNOWN'}:{r['step']}{'/ws' if r['status'] == 101 or r['method'] == 'GET' else ''}"
        for r in result["records"]
    )
    text = f"{result['agent']:14} {result['scenario']:16} exit={result['code']} {result['seconds']:5}s  [{seen}]"
    if result["killed_at"] and result["code"] is not None:
        gone = [r["gone_at"] - result["killed_at"] for r in result["records"] if r["gone_at"]]
        text += f"  killed; provider saw it after {[f'{x * 1000:.0f} ms' for x in gone]}"
    return "\n    ".join([text, *(f"UNMET: {fault}" for fault in result["unmet"])])


def binary(agent: Agent, tools: Path) -> Path:
    folder = tools / "pypi" / "bin" if agent.python else tools / "npm" / "node_modules" / ".bin"
    return folder / agent.binary


def install(tools: Path, agents: Sequence[Agent]) -> None:
    """What is not there yet."""
    missing = [agent for agent in agents if not binary(agent, tools).exists()]
    npm = sorted({agent.package for agent in missing if not agent.python})
    python = sorted({agent.package for agent in missing if agent.python})
    tools.mkdir(parents=True, exist_ok=True)
    if npm:
        prefix = str(tools / "npm")
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--prefix", prefix, *npm], check=True)
    if python:
        subprocess.run([sys.executable, "-m", "venv", str(tools / "pypi")], check=True)
        subprocess.run([str(tools / "pypi" / "bin" / "python"), "-m", "pip", "install", "--quiet", *python], check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--agent", action="append")
    parser.add_argument("--scenario", action="append")
    parser.add_argument("--direct", action="store_true", help="without the balancer")
    parser.add_argument("--http", action="store_true", help="WebSocket handshakes are answered with 426")
    parser.add_argument("--limit", type=float, help="seconds for a turn")
    parser.add_argument("--probes", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    chosen = [a for a in AGENTS if not options.agent or a.name in options.agent]
    base = Path(os.environ.get("BALANCER_AGENTS") or tempfile.mkdtemp(prefix="balancer-agents-"))
    install(base, chosen)
    out = options.out or base / "results"
    out.mkdir(parents=True, exist_ok=True)
    failed = 0
    for agent in chosen:
        for scenario in PROBES if options.probes else SCENARIOS:
            if options.scenario and scenario.name not in options.scenario:
                continue
            if options.limit:
                scenario = dataclasses.replace(scenario, limit=options.limit)
            kind = ("direct-" if options.direct else "") + ("http-" if options.http else "")
            folder = base / "runs" / f"{kind}{agent.name}-{scenario.name}"
            result = asyncio.run(run(agent, scenario, base, folder, direct=options.direct, http=options.http))
            result["unmet"] = [] if options.direct else unmet(agent, scenario, result)
            failed += bool(result["unmet"])
            (out / f"{kind}{agent.name}-{scenario.name}.json").write_text(json.dumps(result, indent=1))
            print(kind + show(result), flush=True)
    if failed:
        print(f"{failed} not as expected", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
