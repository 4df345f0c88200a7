"""The stage of the demonstration: a fake provider over real TLS, and a real proxy with a home of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from mitm_balancer.cli.cabundle import CA_NAME
from mitm_balancer.cli.clientenv import PROXY
from mitm_balancer.cli.output import CliError
from mitm_balancer.testing import FakeProvider, make_ca, steps

KEYS = {"demo-key-of-work": "work", "demo-key-of-spare": "spare"}
"""Credential -> account. Of the fake provider; worth nothing anywhere."""

TEXT = "Hello! Work had reached its limit, so spare answered."
GAP = 0.12
"""Seconds between two events, so that one sees them come."""

LIMIT = 3600.0
"""Seconds that the first account says it is out."""

START_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class Stage:
    fake: FakeProvider
    proxy_port: int
    ca: Path
    log: Path
    """What the proxy says."""


@contextlib.asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[Stage]:
    """Everything runs inside, and is gone afterwards."""
    ca = make_ca(folder / "fake")
    async with FakeProvider(KEYS, ca=ca) as fake:
        fake.play("work", then=steps.rate_limited(retry_after=LIMIT))
        fake.play("spare", then=steps.ok(text=TEXT, events=len(TEXT.split()), gap=GAP))
        home = folder / "home"
        home.mkdir(mode=0o700)
        _configure(home / "config.yaml", fake.url)
        log = folder / "proxy.log"
        async with _proxy(home, ca.cert_path, log) as port:
            yield Stage(fake, port, home / CA_NAME, log)


def _configure(path: Path, url: str) -> None:
    accounts = [
        {"provider": "anthropic", "alias": alias, "credential": key, "base_url": url} for key, alias in KEYS.items()
    ]
    path.touch(mode=0o600)
    path.write_text(json.dumps({"version": 1, "accounts": accounts}))  # JSON is YAML


@contextlib.asynccontextmanager
async def _proxy(home: Path, fake_ca: Path, log: Path) -> AsyncIterator[int]:
    """`balancer run` on a free port; gives the port once it listens."""
    reading, writing = os.pipe()
    outside = {"BALANCER_HOME", "BALANCER_CONFIG", *PROXY, "ALL_PROXY", "all_proxy"}
    words = ["--home", str(home), "run", "--listen-port", "0", "--ready-fd", str(writing)]
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mitm_balancer.cli", *words),
            *("--set", f"ssl_verify_upstream_trusted_ca={fake_ca}"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            env={name: value for name, value in os.environ.items() if name not in outside},
            pass_fds=(writing,),
        )
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as pipe:
            told = await asyncio.wait_for(asyncio.to_thread(pipe.read), START_TIMEOUT)
        if not told:
            await process.wait()
            raise CliError(f"the proxy did not start:\n{await asyncio.to_thread(log.read_text)}")
        yield json.loads(told)["port"]
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
