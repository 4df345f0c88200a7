"""The operator's two hands in end-to-end tests: the CLI as a process of its own, and commands inside mitmproxy."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
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
