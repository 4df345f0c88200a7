"""The operator's two hands in end-to-end tests: the CLI as a process of its own, and commands inside mitmproxy."""

from __future__ import annotations

import asyncio
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.harness import BIN, REPO, Proxy, bare_environment
from mitm_balancer.cli.bus import running

SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Said:
    """A verb that has ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


async def known(proxy: Proxy) -> Proxy:
    """The proxy, once its row is in the store: until then, a quarter of a second, the CLI takes it for none."""
    async with asyncio.timeout(SECONDS):
        while await asyncio.to_thread(running, proxy.home) is None:
            await asyncio.sleep(0.02)
    return proxy


async def cli(proxy: Proxy, *words: str, **env: str) -> Said:
    """`balancer WORDS` with the proxy's home and configuration. The code of this checkout."""
    process = await asyncio.create_subprocess_exec(
        *(str(BIN / "balancer"), "--home", str(proxy.home), "--config", str(proxy.config_path), *words),
        env=bare_environment(proxy.log.parent) | {"PYTHONPATH": str(REPO / "addon")} | env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), SECONDS)
    return Said(process.returncode or 0, out.decode(), err.decode())


COMMAND_SCRIPT = Path(__file__).parent / "commandscript.py"


def commanded(folder: Path) -> dict[str, Any]:
    """What `launch` needs so that `command` reaches the proxy."""
    asks = folder / "commands"
    asks.mkdir(exist_ok=True)
    return {"args": ["-s", str(COMMAND_SCRIPT)], "env": {"COMMAND_FOLDER": str(asks)}}


async def command(proxy: Proxy, name: str, *args: str) -> Any:
    """Run a command of mitmproxy inside the proxy; what it gives. CommandFailed with its text when it fails."""
    folder = proxy.log.parent / "commands"
    path = folder / f"{next(_numbers):06}.new"
    path.write_text(json.dumps([name, *args]))
    ask = path.rename(path.with_suffix(".ask"))
    done = ask.with_suffix(".answer")
    async with asyncio.timeout(SECONDS):
        while not done.exists():
            await asyncio.sleep(0.01)
    found = json.loads(done.read_text())
    if "error" in found:
        raise CommandFailed(found["error"])
    return found["value"]


class CommandFailed(Exception):
    """The command's own words."""


_numbers = itertools.count()
