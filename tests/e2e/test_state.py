"""What outlives a restart, what a reload does, and what the proxy says when its configuration or its store is bad."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from e2e.conftest import Launch
from e2e.harness import BIN, REPO, SCRIPT, Proxy, bare_environment, config, start_proxy
from e2e.helpers import ANTHROPIC, accounts_of, came_one_by_one, told, until
from e2e.rawclient import RawAnswer
from mitm_balancer.testing import FakeProvider, steps

WITHIN = 4.0
"""Seconds for what the contract promises within one: a busy machine adds some."""


async def _ask(proxy: Proxy) -> RawAnswer:
    async with await proxy.dial(ANTHROPIC.host) as client:
        return await client.request(*ANTHROPIC.request(stream=True))


@pytest.mark.parametrize("end", ["SIGTERM", "SIGKILL"])
async def test_a_cooldown_outlives_the_proxy(fake: FakeProvider, tmp_path: Path, end: str) -> None:
    """P8: the first account is limited for ten minutes; the next proxy with this home does not ask it.

    SIGKILL comes as soon as the client has its answer: whoever has seen the failover can rely on it.
    """
    fake.play("anthropic0", steps.rate_limited(retry_after=600))
    text = config(*accounts_of(fake, "anthropic", 2))
    async with start_proxy(tmp_path, text, fake=fake) as proxy:
        assert told(await _ask(proxy)) == ("anthropic1", 2)
        await (proxy.kill() if end == "SIGKILL" else proxy.stop())
    async with start_proxy(tmp_path, text, fake=fake) as proxy:
        assert told(await _ask(proxy)) == ("anthropic1", 1)
    assert len(fake.ledger.of("anthropic0")) == 1


async def test_the_account_in_use_outlives_the_proxy(fake: FakeProvider, tmp_path: Path) -> None:
    """The first account is limited for a second; long after that, the next proxy stays where the last one was."""
    fake.play("anthropic0", steps.rate_limited(retry_after=1))
    text = config(*accounts_of(fake, "anthropic", 2))
    async with start_proxy(tmp_path, text, fake=fake) as proxy:
        assert told(await _ask(proxy)) == ("anthropic1", 2)
        await asyncio.sleep(1.3)
        await proxy.kill()
    async with start_proxy(tmp_path, text, fake=fake) as proxy:
        assert told(await _ask(proxy)) == ("anthropic1", 1)


@contextlib.asynccontextmanager
async def _locked(database: Path) -> AsyncIterator[None]:
    """Another program holds the write lock."""
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        connection.rollback()
        connection.close()


async def test_a_locked_store_does_not_fail_traffic(fake: FakeProvider, launch: Launch) -> None:
    """P9: somebody holds the database; a failover and a stream go on as fast as ever."""
    fake.play("anthropic0", steps.rate_limited(retry_after=600))
    proxy = await launch(config(*accounts_of(fake, "anthropic", 2)))
    async with _locked(proxy.home / "balancer.sqlite"):
        begun = time.monotonic()
        for attempts in (2, 1, 1):
            assert told(await _ask(proxy)) == ("anthropic1", attempts)
        assert time.monotonic() - begun < 3


@pytest.mark.parametrize("damage", ["garbage", "folder"])
async def test_an_unusable_store_does_not_fail_traffic(fake: FakeProvider, tmp_path: Path, damage: str) -> None:
    """P9: a database that is none, or cannot be one: the proxy starts, fails over, and says what is wrong."""
    database = tmp_path / "home" / "balancer.sqlite"
    database.parent.mkdir(mode=0o700)
    if damage == "folder":
        database.mkdir()
    else:
        database.write_bytes(b"this is no database at all\n" * 500)
    fake.play("anthropic0", steps.rate_limited(retry_after=600))
    async with start_proxy(tmp_path, config(*accounts_of(fake, "anthropic", 2)), fake=fake) as proxy:
        assert told(await _ask(proxy)) == ("anthropic1", 2)
        assert "balancer.sqlite" in proxy.output


async def test_a_reload_is_taken_within_a_second_and_a_bad_one_is_not(fake: FakeProvider, launch: Launch) -> None:
    """An account is added while the proxy runs; then a mistake: the old configuration stays, and the log says where.

    A stream that runs meanwhile is not touched.
    """
    accounts = accounts_of(fake, "anthropic", 2)
    fake.play("anthropic0", steps.ok(events=20, gap=0.1), then=steps.rate_limited(retry_after=600))
    proxy = await launch(config(accounts[0], policy={"hold_ms": 0}))
    running = asyncio.ensure_future(_ask(proxy))
    await fake.until(lambda: len(fake.ledger) == 1)
    proxy.rewrite(config(*accounts, policy={"hold_ms": 0}))
    await proxy.says("configuration reloaded: 2 accounts", timeout=WITHIN)
    audit = proxy.home / "audit.ndjson"
    await until(lambda: "config_reloaded" in audit.read_text(), "the new credentials")
    assert told(await _ask(proxy)) == ("anthropic1", 2)

    proxy.rewrite("version: 1\naccounts:\n  - provider: anthropic\n    alias: x\n    kredential: y\n")
    await proxy.says("kredential: ", timeout=WITHIN)
    assert "configuration not taken" in proxy.output
    assert re.search(r"config\.yaml:5: accounts\[0\]\.kredential: ", proxy.output), proxy.output
    assert told(await _ask(proxy)) == ("anthropic1", 1)
    answer = await running
    assert answer.complete and told(answer) == ("anthropic0", 1)
    came_one_by_one(answer, ANTHROPIC.text_mark, 20, 0.1)


async def test_touching_the_script_loses_nothing(fake: FakeProvider, tmp_path: Path) -> None:
    """mitmproxy reloads the script: a running stream comes to its end, and cooldowns are still known."""
    script = tmp_path / "balancer.py"
    script.write_text(SCRIPT.read_text().replace("Path(__file__).resolve().parent", f"Path({str(SCRIPT.parent)!r})"))
    fake.play("anthropic0", steps.rate_limited(retry_after=600))
    fake.play("anthropic1", steps.ok(events=25, gap=0.1))
    text = config(*accounts_of(fake, "anthropic", 2))
    args = ["-s", str(script), "--set", f"balancer_home={tmp_path / 'home'}"]
    async with start_proxy(tmp_path, text, fake=fake, how="plain", args=args) as proxy:
        running = asyncio.ensure_future(_ask(proxy))
        await fake.until(lambda: fake.ledger.of("anthropic1"))
        script.touch()
        await proxy.says("Loading script", timeout=5)
        deadline = time.monotonic() + 20
        while proxy.output.count("Loading script") < 2 and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        assert proxy.output.count("Loading script") == 2
        assert not running.done(), "the stream was too short to prove anything"
        assert told(await _ask(proxy)) == ("anthropic1", 1)
        answer = await running
        assert answer.complete and told(answer) == ("anthropic1", 2)
        came_one_by_one(answer, ANTHROPIC.text_mark, 25, 0.1)
        assert "Traceback" not in proxy.output and "rror in" not in proxy.output, proxy.output


BAD = """\
version: 1
accounts:
  - provider: anthropic
    alias: Not Allowed
    credential: x
  - provider: nobody
    alias: b
    credential: y
policy:
  retry_bugdet: 3
"""


@pytest.mark.parametrize("how", ["mitmdump", "balancer"])
async def test_a_bad_configuration_is_told_line_by_line_and_nothing_starts(tmp_path: Path, how: str) -> None:
    """Each mistake is one line with file, line and field; the exit status is 1; the credential is not repeated."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    path = home / "config.yaml"
    path.write_text(BAD)
    path.chmod(0o600)
    command = [str(BIN / "mitmdump"), "-s", str(SCRIPT), "-p", "0", "--set", f"confdir={tmp_path}"]
    if how == "balancer":
        command = [str(BIN / "balancer"), "--home", str(home), "run", "-p", "0"]
    code, output = await _run(command, tmp_path, {"BALANCER_HOME": str(home)})
    assert code == 1, output
    assert "Traceback" not in output
    for line, field in ((4, "accounts[0].alias"), (6, "accounts[1].provider"), (10, "policy.retry_bugdet")):
        assert len(re.findall(rf"config\.yaml:{line}: {re.escape(field)}: ", output)) == 1, output


async def _run(command: list[str], folder: Path, env: dict[str, str], cwd: Path | None = None) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd or folder,
        env=bare_environment(folder) | env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), 20)
    except TimeoutError:
        process.kill()
        out, _ = await process.communicate()
        raise AssertionError(f"it did not end:\n{out.decode()}") from None
    return process.returncode or 0, out.decode()


async def test_it_starts_in_its_own_folder_too(tmp_path: Path) -> None:
    """`cd addon && mitmdump -s balancer.py`: the same addon, its options and its view are there; and it ends well."""
    check = tmp_path / "check.py"
    check.write_text(
        "from mitmproxy import ctx\n"
        "def running():\n"
        "    print('balancer_config' in ctx.options, ctx.master.addons.get('balancer') is not None, flush=True)\n"
        "    ctx.master.shutdown()\n"
    )
    command = [str(BIN / "mitmdump"), "-s", "balancer.py", "-s", str(check), "-p", "0", "--set", f"confdir={tmp_path}"]
    env = {"BALANCER_HOME": str(tmp_path / "home")}
    code, output = await _run(command, tmp_path, env, cwd=REPO / "addon")
    assert (code, "Traceback" in output) == (0, False), output
    assert "True" in output
