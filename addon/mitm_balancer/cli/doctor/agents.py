"""The agents on PATH: which version, and the line that starts each through the proxy."""

from __future__ import annotations

import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

from mitm_balancer.cli.doctor.model import Bench, Finding, Findings, ok, warn
from mitm_balancer.cli.hints import hint

AGENTS = {
    "claude": "Claude Code",
    "codex": "Codex",
    "opencode": "opencode",
    "gemini": "Gemini CLI",
    "copilot": "Copilot CLI",
    "aider": "aider",
}
"""Program -> name. Each reads HTTPS_PROXY and the CA that `exec` sets (docs/agents.md)."""

SECONDS = 10.0
"""For `--version`: node and Python programs take one or two on a slow machine."""

_VERSION = re.compile(r"\d+\.\d+(?:[\w.+-]*\w)?")


def agents(bench: Bench) -> Findings:
    """Each agent that is installed; the others are not missed."""
    path = bench.environ.get("PATH", "")
    found = {name: program for name in AGENTS if (program := shutil.which(name, path=path))}
    if not found:
        names = ", ".join(AGENTS)
        yield ok("agents", f"none of {names} is on PATH", f"{bench.command} exec -- CMD starts any program")
        return
    with ThreadPoolExecutor(len(found)) as threads:
        versions = dict(zip(found, threads.map(lambda program: _version(program, bench), found.values()), strict=True))
    for name, version in versions.items():
        yield _one(name, version, bench)


def _one(name: str, version: str | None, bench: Bench) -> Finding:
    line = f"{bench.command} exec -- {name}"
    if version is None:
        return warn("agents", f"{name} ({AGENTS[name]}) does not tell its version", f"run {name} --version by hand")
    told = f"{AGENTS[name]} {version}".rstrip()
    if advice := hint(name, bench.environ, bench.user_home):
        # What it says of a placeholder names the variable.
        return ok("agents", f"{told}, without a key or login of its own", f"{line}   ({advice.rpartition('; ')[2]})")
    return ok("agents", told, line)


def _version(program: str, bench: Bench) -> str | None:
    """None: it did not answer. "": it answered something else. Its own environment, and nothing to ask."""
    try:
        done = subprocess.run(
            [program, "--version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            stdin=subprocess.DEVNULL,
            env=dict(bench.environ),
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(done.stdout or done.stderr)
    return None if done.returncode else match[0] if match else ""
