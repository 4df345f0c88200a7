"""Real processes for end-to-end tests: the proxy (`mitmdump -s` or `balancer run`) and the real SDKs.

    async with start_proxy(tmp_path, config(account("anthropic", "a", "KEY-A", fake)), fake=fake) as proxy:
        async with await proxy.dial("api.anthropic.com") as client:
            answer = await client.request("POST", "/v1/messages", [("x-api-key", "client")], b"{}")
        done = await run_sdk(SNIPPET, proxy, {"ANTHROPIC_API_KEY": "client"})

The client talks to the real host name through the proxy; the account's `base_url` leads the attempt to the fake.
Nothing of the caller's environment but PATH and the language reaches a process.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import ssl
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from e2e.h2client import H2Client
from e2e.rawclient import RawClient
from mitm_balancer.testing import FakeProvider

REPO = Path(__file__).resolve().parents[2]
SCRIPT = REPO / "addon" / "balancer.py"
BIN = Path(sys.executable).parent
SDK_PYTHON = REPO / ".venv" / "clients" / "bin" / "python"
CA_NAME = "mitmproxy-ca-cert.pem"

START_SECONDS = 30.0
"""Two shared cores and a cold import of mitmproxy."""
STOP_SECONDS = 10.0
SDK_SECONDS = 45.0

_LISTENING = re.compile(r"listen(?:ing at|s on) \S*:(\d+)")
"""mitmdump's words, and those of `balancer run`."""

type How = Literal["mitmdump", "balancer", "plain"]
"""`plain` is mitmdump without the addon: what a client sees when nobody balances."""


def account(
    provider: str, alias: str, credential: str, fake: FakeProvider | None = None, **fields: Any
) -> dict[str, Any]:
    """One entry of `accounts`, whose attempts go to the fake."""
    base = {} if fake is None else {"base_url": fake.url}
    return {"provider": provider, "alias": alias, "credential": credential, **base, **fields}


def config(*accounts: Mapping[str, Any], **sections: Any) -> str:
    """The text of a configuration file. JSON is YAML. Nobody is asked for usage unless a section says so."""
    return json.dumps({"version": 1, "accounts": list(accounts), "usage": {"poll": False}, **sections}, indent=1)


@dataclass(slots=True)
class Proxy:
    """A running proxy. Its log is a file, so that a full pipe can never stop it."""

    process: asyncio.subprocess.Process
    port: int
    home: Path
    confdir: Path
    log: Path
    config_path: Path

    @property
    def ca(self) -> Path:
        """What clients must trust."""
        return self.confdir / CA_NAME

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        """All that it has said so far, on stdout and stderr."""
        return self.log.read_text(errors="replace")

    def context(self) -> ssl.SSLContext:
        """A client-side context that trusts the proxy's CA and no other."""
        return ssl.create_default_context(cafile=str(self.ca))

    async def dial(self, host: str, port: int = 443, *, context: ssl.SSLContext | None = None) -> RawClient:
        """CONNECT, TLS, HTTP/1.1."""
        return await RawClient.open(host, port, proxy=("127.0.0.1", self.port), context=context or self.context())

    async def dial_h2(self, host: str, port: int = 443) -> H2Client:
        """CONNECT, TLS, HTTP/2."""
        return await H2Client.open(host, port, proxy=("127.0.0.1", self.port), context=self.context())

    def rewrite(self, text: str) -> None:
        """Another configuration, in one move as an editor does it."""
        new = self.config_path.with_suffix(".new")
        new.write_text(text)
        new.replace(self.config_path)

    async def says(self, text: str, timeout: float = 20.0) -> None:
        """Wait until the log has this text; AssertionError otherwise."""
        deadline = time.monotonic() + timeout
        while text not in self.output:
            assert time.monotonic() < deadline, f"the proxy never said {text!r}:\n{self.output}"
            await asyncio.sleep(0.02)

    async def stop(self) -> str:
        """SIGTERM, then the whole output. SIGKILL and AssertionError when it does not end."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), STOP_SECONDS)
        except TimeoutError:
            await self.kill()
            raise AssertionError(f"the proxy did not end on SIGTERM:\n{self.output}") from None
        return self.output

    async def kill(self) -> None:
        """SIGKILL: what P8 is about."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


@contextlib.asynccontextmanager
async def start_proxy(
    folder: Path,
    config_text: str | None = None,
    *,
    fake: FakeProvider | None = None,
    how: How = "mitmdump",
    args: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[Proxy]:
    """A proxy with a home of its own below `folder`, from when it listens until it has ended.

    The same folder again is a restart with the same state. `args` are appended; `env` is added to a bare environment.
    """
    home, confdir = folder / "home", folder / ("home" if how == "balancer" else "confdir")
    home.mkdir(mode=0o700, exist_ok=True)
    confdir.mkdir(exist_ok=True)
    config_path = home / "config.yaml"
    if config_text is not None:
        config_path.touch(mode=0o600)
        config_path.write_text(config_text)
    sets = _sets(how, home, confdir, config_path)
    if fake is not None and fake.ca is not None:
        sets.append(f"ssl_verify_upstream_trusted_ca={fake.ca.cert_path}")
    command = [*_command(how, home), *(word for spec in sets for word in ("--set", spec)), *args]
    log = folder / f"proxy-{len(list(folder.glob('proxy-*.log')))}.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env=bare_environment(folder) | dict(env or {}),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
        )
    proxy = Proxy(process, 0, home, confdir, log, config_path)
    try:
        proxy.port = await _listening(proxy)
        yield proxy
    finally:
        await proxy.stop()


KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH")


def bare_environment(folder: Path) -> dict[str, str]:
    """No proxy settings, no keys, no home but a temporary one."""
    user = folder / "user"
    user.mkdir(exist_ok=True)
    # PYTHONPATH: the code of this checkout, also where the commands belong to another one.
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return kept | {"HOME": str(user), "PYTHONUNBUFFERED": "1", "BALANCER_VAULT": "file"}


def _command(how: How, home: Path) -> list[str]:
    listen = ["--listen-host", "127.0.0.1", "-p", "0"]
    match how:
        case "mitmdump":
            return [str(BIN / "mitmdump"), "-s", str(SCRIPT), *listen]
        case "plain":
            return [str(BIN / "mitmdump"), *listen]
        case "balancer":
            return [str(BIN / "balancer"), "--home", str(home), "run", *listen]


def _sets(how: How, home: Path, confdir: Path, config_path: Path) -> list[str]:
    match how:
        case "mitmdump":
            return [f"confdir={confdir}", f"balancer_home={home}", f"balancer_config={config_path}"]
        case "plain":
            return [f"confdir={confdir}"]
        case "balancer":
            return []


async def _listening(proxy: Proxy) -> int:
    """The port, once the proxy says that it listens there."""
    deadline = time.monotonic() + START_SECONDS
    while not (found := _LISTENING.search(proxy.output)):
        if proxy.process.returncode is not None:
            raise AssertionError(f"the proxy ended with {proxy.process.returncode}:\n{proxy.output}")
        if time.monotonic() > deadline:
            raise AssertionError(f"the proxy does not listen after {START_SECONDS:g} s:\n{proxy.output}")
        await asyncio.sleep(0.02)
    return int(found[1])


@dataclass(frozen=True, slots=True)
class Done:
    """A client process that has ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Its last line of output."""
        return json.loads(self.out.strip().splitlines()[-1])


async def run_sdk(script: str, proxy: Proxy, env: Mapping[str, str] | None = None, *args: str) -> Done:
    """Run Python text in the venv of the real SDKs, with the proxy and its CA set the way a user sets them."""
    environment = bare_environment(proxy.log.parent) | {"HTTPS_PROXY": proxy.url, "SSL_CERT_FILE": str(proxy.ca)}
    process = await asyncio.create_subprocess_exec(
        *(str(SDK_PYTHON), "-c", script, *args),
        env=environment | dict(env or {}),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), SDK_SECONDS)
    except TimeoutError:
        process.kill()
        out, err = await process.communicate()
        raise AssertionError(f"the client did not end:\n{out.decode()}\n{err.decode()}") from None
    return Done(process.returncode or 0, out.decode(), err.decode())
