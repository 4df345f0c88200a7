"""The ground that an agent runs on: a machine whose network knows the fake provider and nothing else.

    agent --> (balancer) --> tunnel --> fake provider, under the providers' real names

The tunnel is an HTTP proxy that joins CONNECT to the fake provider without looking inside. An agent that uses it
directly shows what it sends when nobody balances; the balancer goes out through it (`--mode upstream:`), so accounts
need no `base_url` and both ways can be compared head by head.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from mitm_balancer.cli.bus import running

REPO = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
START_SECONDS = 30.0
KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR")


class Tunnel:
    """CONNECT to one of `hosts` leads to `port`; anything else is refused and remembered."""

    def __init__(self, hosts: frozenset[str], port: int) -> None:
        self.hosts, self.port = hosts, port
        self.refused: list[str] = []
        self.joined: list[str] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError), contextlib.closing(writer):
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.decode("latin-1").split(" ", 2)
            host = target.rpartition(":")[0] if method == "CONNECT" else target
            if host not in self.hosts or method != "CONNECT":
                self.refused.append(host)
                writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                await writer.drain()
                return
            self.joined.append(host)
            there = await asyncio.open_connection("127.0.0.1", self.port)
            with contextlib.closing(there[1]):
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                tasks = [asyncio.ensure_future(_pump(reader, there[1])), asyncio.ensure_future(_pump(there[0], writer))]
                done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in rest:
                    task.cancel()
                # What ended the one side ends the other in the same way: a reset stays a reset.
                for task, end in zip(tasks, (there[1], writer), strict=True):
                    if task in done and task.result():
                        end.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Until one side ends; True when it was reset."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        return True
    return False


def bare_environment(user: Path) -> dict[str, str]:
    """No proxy settings, no keys, no home but a temporary one."""
    user.mkdir(parents=True, exist_ok=True)
    return {name: os.environ[name] for name in KEPT if name in os.environ} | {"HOME": str(user)}


@dataclass(slots=True)
class Balancer:
    """A running `balancer run`."""

    process: asyncio.subprocess.Process
    home: Path
    log: Path

    def wrapped(self, command: Sequence[str]) -> list[str]:
        """The command under `balancer exec`."""
        return [str(BIN / "balancer"), "--home", str(self.home), "exec", "--", *command]


@contextlib.asynccontextmanager
async def balancer(folder: Path, config: str, ca: Path, outside: str) -> AsyncIterator[Balancer]:
    """From when it listens until it has ended; `outside` is the proxy that it goes out through."""
    home = folder / "balancer"
    home.mkdir(mode=0o700, parents=True)
    (home / "config.yaml").touch(mode=0o600)
    (home / "config.yaml").write_text(config)
    log = folder / "proxy.log"
    command = [str(BIN / "balancer"), "--home", str(home), "run", "-p", "0", "-v", "-m", f"upstream:{outside}"]
    command += ["--set", f"ssl_verify_upstream_trusted_ca={ca}"]
    env = bare_environment(folder / "operator") | {"PYTHONUNBUFFERED": "1"}
    env |= {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=folder, env=env, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while running(home) is None:
            if process.returncode is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the balancer does not listen:\n{log.read_text(errors='replace')}")
            await asyncio.sleep(0.05)
        yield Balancer(process, home, log)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@dataclass(slots=True)
class Turn:
    """What an agent showed its user. Times are seconds since its start."""

    code: int | None = None
    """None: it had to be killed."""
    seconds: float = 0.0
    lines: list[tuple[float, str, str]] = field(default_factory=list)
    """(time, `out` or `err`, text)."""
    killed_at: float | None = None
    """`time.monotonic()`."""

    @property
    def text(self) -> str:
        return "\n".join(line for _, _, line in self.lines)


async def turn(
    command: Sequence[str], env: Mapping[str, str], cwd: Path, limit: float, kill: asyncio.Event | None = None
) -> Turn:
    """Run a command to its end, to `limit` seconds, or until `kill` is set; then its group ends."""
    done, started = Turn(), time.monotonic()
    cwd.mkdir(parents=True, exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        *command,
        env=dict(env),
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        limit=2**24,
    )

    async def read(stream: asyncio.StreamReader, name: str) -> None:
        while line := await stream.readline():
            text = line.decode(errors="replace").rstrip()
            done.lines.append((time.monotonic() - started, name, text))

    async def executioner() -> None:
        if kill is not None:
            await kill.wait()
            done.killed_at = time.monotonic()
            os.killpg(process.pid, signal.SIGKILL)

    assert process.stdout and process.stderr
    waiting = asyncio.ensure_future(executioner())
    readers = asyncio.gather(read(process.stdout, "out"), read(process.stderr, "err"))
    try:
        async with asyncio.timeout(limit):
            await readers
            done.code = await process.wait()
    except TimeoutError:
        done.killed_at = time.monotonic()
    finally:
        waiting.cancel()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    done.seconds = time.monotonic() - started
    return done
