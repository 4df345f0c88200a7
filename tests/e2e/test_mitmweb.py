"""What a person sees in mitmweb: the failed attempt and the good one, what was decided, and no key."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2e.harness import BIN, SCRIPT, Proxy, bare_environment, config
from e2e.helpers import ANTHROPIC, accounts_of, key_of, told, until
from mitm_balancer.testing import FakeProvider, steps

TOKEN = "a-token-for-this-test"


@dataclass(slots=True)
class Web:
    """mitmweb's HTTP interface."""

    proxy: Proxy
    port: int

    async def get(self, path: str) -> bytes:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        return await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=5).read())

    async def command(self, name: str, *arguments: str) -> Any:
        """What the command bar does: the token of its cookie stands in a header as well."""
        token = "0" * 32
        headers = {
            "Authorization": f"Bearer {TOKEN}",
            "Cookie": f"_mitmproxy_xsrf={token}",
            "X-XSRFToken": token,
            "Content-Type": "application/json",
        }
        body = json.dumps({"arguments": arguments}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/commands/{name}", body, headers)
        return json.loads(await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=5).read()))

    async def flows(self, count: int) -> list[dict[str, Any]]:
        """At least so many, once they are there and over."""
        async with asyncio.timeout(20):
            while True:
                flows: list[dict[str, Any]] = json.loads(await self.get("/flows"))
                done = [f for f in flows if f.get("response") and f["response"].get("timestamp_end")]
                if len(done) >= count:
                    return flows
                await asyncio.sleep(0.05)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except OSError:
        return False
    return True


@pytest.fixture(params=["mitmweb", "balancer"])
async def web(request: pytest.FixtureRequest, tmp_path: Path, fake: FakeProvider) -> AsyncIterator[Web]:
    """`mitmweb -s addon/balancer.py` and `balancer run --web`, with two accounts, the first of them limited."""
    home, confdir = tmp_path / "home", tmp_path / "confdir"
    home.mkdir(mode=0o700)
    path = home / "config.yaml"
    path.touch(mode=0o600)
    path.write_text(config(*accounts_of(fake, "anthropic", 2)))
    port, web_port = _free_port(), _free_port()
    assert fake.ca is not None
    sets = [
        "web_open_browser=false",
        f"web_port={web_port}",
        f"web_password={TOKEN}",
        f"ssl_verify_upstream_trusted_ca={fake.ca.cert_path}",
    ]
    command = [str(BIN / "mitmweb"), "-s", str(SCRIPT), "--set", f"confdir={confdir}"]
    if request.param == "balancer":
        command, confdir = [str(BIN / "balancer"), "--home", str(home), "run", "--web"], home
    words = [word for spec in sets for word in ("--set", spec)]
    log = tmp_path / "web.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(*command, "-p", str(port), "--listen-host", "127.0.0.1", *words),
            cwd=tmp_path,
            env=bare_environment(tmp_path) | {"BALANCER_HOME": str(home)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
        )
    proxy = Proxy(process, port, home, confdir, log, path)
    try:
        for which in (port, web_port):  # the web interface listens a moment after the proxy
            await until(lambda which=which: _listens(which), f"port {which} of {proxy.output}", 30)
        yield Web(proxy, web_port)
    finally:
        await proxy.stop()
        print(proxy.output)


async def test_both_attempts_are_there_with_their_story_and_without_a_key(fake: FakeProvider, web: Web) -> None:
    """The failed flow: 429, marked, a comment that names the account and why. The good one: 200, commented, whole.

    The content view `Balancer` tells the story of either; no key stands in any of it, the client's own included.
    """
    fake.play("anthropic0", steps.rate_limited(retry_after=600))
    async with await web.proxy.dial(ANTHROPIC.host) as client:
        answer = await client.request(*ANTHROPIC.request(stream=True))
    assert told(answer) == ("anthropic1", 2)
    flows = await web.flows(2)
    by_status = {flow["response"]["status_code"]: flow for flow in flows}
    assert sorted(by_status) == [200, 429] and len(flows) == 2
    failed, good = by_status[429], by_status[200]
    assert (failed["marked"], good["marked"]) == (
        "\N{LARGE RED CIRCLE}",
        "\N{ANTICLOCKWISE DOWNWARDS AND UPWARDS OPEN CIRCLE ARROWS}",
    )
    assert "anthropic/anthropic0" in failed["comment"] and "RateLimited" in failed["comment"]
    assert "anthropic/anthropic1" in good["comment"] and "2 attempts" in good["comment"]
    assert good["server_conn"]["peername"][1] == fake.port and good["server_conn"]["tls_established"]
    assert good["request"]["pretty_host"] == failed["request"]["pretty_host"] == ANTHROPIC.host

    seen = [json.dumps(flows).encode()]
    for flow in (failed, good):
        view = await web.get(f"/flows/{flow['id']}/response/content/Balancer.json")
        story = json.loads(view)["text"]
        assert "anthropic/anthropic0" in story and "RateLimited" in story, story
        seen += [view, await web.get(f"/flows/{flow['id']}/response/content.data")]
        seen.append(await web.get(f"/flows/{flow['id']}/request/content.data"))
    assert "anthropic/anthropic1" in json.loads(seen[4])["text"]
    assert seen[5] == answer.body, "the good flow's body is not what the client got"
    assert b"This request would exceed" in seen[2]
    seen.append(await web.get("/flows/dump"))
    for data in seen:
        for secret in (key_of("anthropic0"), key_of("anthropic1"), "CLIENT-OWN"):
            assert secret.encode() not in data, re.findall(rb".{80}%s" % secret.encode(), data)


async def test_the_command_bar_has_the_operators_verbs(fake: FakeProvider, web: Web) -> None:
    """A command is listed with its help, does its work at once, and tells a mistake."""
    listed = json.loads(await web.get("/commands"))
    assert listed["balancer.pause"]["parameters"][0]["type"] == "account"
    assert "no new work" in listed["balancer.pause"]["help"]

    done = await web.command("balancer.pause", "anthropic0")
    assert done["value"][0].startswith("anthropic/anthropic0 is paused")
    async with await web.proxy.dial(ANTHROPIC.host) as client:
        assert told(await client.request(*ANTHROPIC.request(stream=True))) == ("anthropic1", 1)
    assert (await web.command("balancer.accounts.list"))["value"][0][:2] == ["anthropic/anthropic0", "paused"]
    assert "did you mean anthropic0" in (await web.command("balancer.resume", "antropic0"))["error"]
    await web.command("balancer.resume", "anthropic0")
