"""What addons and people may do to a balanced flow, and what a slow side does to the other: over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from mitmproxy import http
from mitmproxy.addonmanager import AddonManager
from mitmproxy.test import taddons
from playbook import make_head
from realclient import Proxied, ScriptedCall

from mitm_balancer.proxy.outlet import UPLOAD_HIGH_WATER

POST = b"POST /v1/messages HTTP/1.1\r\nHost: api.example\r\nContent-Length: 4\r\n\r\nbody"
HOOKS = ["requestheaders", "request", "responseheaders", "response"]
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class _Listener:
    """An addon that notes the hooks and acts in one of them."""

    def __init__(self, where: str = "", act: object = None) -> None:
        self.seen: list[str] = []
        self.flow: http.HTTPFlow | None = None
        self._where, self._act = where, act

    def _note(self, name: str, flow: http.HTTPFlow) -> None:
        self.seen.append(name)
        self.flow = flow
        if name == self._where and callable(self._act):
            self._act(flow)

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        self._note("requestheaders", flow)

    def request(self, flow: http.HTTPFlow) -> None:
        self._note("request", flow)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        self._note("responseheaders", flow)

    def response(self, flow: http.HTTPFlow) -> None:
        self._note("response", flow)


@pytest.fixture
def manager() -> Iterator[AddonManager]:
    with taddons.context() as context:
        yield context.master.addons


async def _answer(call: ScriptedCall) -> None:
    await call.outlet.head(make_head(200))
    await call.outlet.data(b"ok")
    await call.outlet.end()


async def test_the_hooks_of_a_turn(manager: AddonManager) -> None:
    listener = _Listener()
    manager.add(listener)
    async with Proxied(manager, _answer) as play:
        for _ in range(2):
            play.send(POST)
            assert await play.read(len(CHUNKED) + 12) == CHUNKED + b"2\r\nok\r\n0\r\n\r\n"
        await play.until(lambda: len(listener.seen) == 8)

    assert listener.seen == HOOKS * 2
    assert play.handler.hook_names == ["client_connected", "client_disconnected"]


@pytest.mark.parametrize("where", HOOKS[:3])
async def test_killed_in_a_hook(manager: AddonManager, where: str) -> None:
    """No byte reaches the client, no later hook runs, the call ends."""
    listener = _Listener(where, lambda flow: flow.kill())
    manager.add(listener)
    async with Proxied(manager, _answer) as play:
        play.send(POST)
        assert await play.rest() == b""
        await play.until(lambda: play.call.task is not None and play.call.task.done())

    assert play.call.cancelled
    assert listener.seen == HOOKS[: HOOKS.index(where) + 1]
    assert "error" in play.handler.hook_names


async def test_an_addon_answers(manager: AddonManager) -> None:
    asked = []

    async def script(call: ScriptedCall) -> None:
        asked.append(call)

    def answer(flow: http.HTTPFlow) -> None:
        flow.response = http.Response.make(418, b"teapot", {"x": "y"})

    listener = _Listener("request", answer)
    manager.add(listener)
    async with Proxied(manager, script) as play:
        play.send(POST)
        expected = b"HTTP/1.1 418 I'm a teapot\r\nx: y\r\ncontent-length: 6\r\n\r\nteapot"
        assert await play.read(len(expected)) == expected
        await play.until(lambda: len(listener.seen) == 4)

    assert (asked, listener.seen) == ([], HOOKS)


@pytest.mark.parametrize("where", HOOKS[:3])
async def test_an_intercepted_flow_waits_and_goes_on(manager: AddonManager, where: str) -> None:
    listener = _Listener(where, lambda flow: flow.intercept())
    manager.add(listener)
    async with Proxied(manager, _answer) as play:
        play.send(POST)
        await play.until(lambda: where in listener.seen)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(play.reader.read(1), 0.05)
        assert listener.flow is not None
        listener.flow.resume()
        assert await play.read(len(CHUNKED) + 12) == CHUNKED + b"2\r\nok\r\n0\r\n\r\n"


@pytest.mark.parametrize("where", HOOKS[:3])
async def test_the_client_leaves_while_its_flow_is_intercepted(manager: AddonManager, where: str) -> None:
    listener = _Listener(where, lambda flow: flow.intercept())
    manager.add(listener)
    async with Proxied(manager, _answer) as play:
        play.send(POST)
        await play.until(lambda: where in listener.seen)
        play.writer.close()
        await play.until(lambda: play.call.cancelled and play.call.task is not None and play.call.task.done())

    assert listener.seen[-1] == where
    assert "error" in play.handler.hook_names


@pytest.mark.parametrize("how", ["fin", "rst"])
async def test_a_client_that_leaves_cancels_the_call_at_once(manager: AddonManager, how: str) -> None:
    async def script(call: ScriptedCall) -> None:
        await call.outlet.head(make_head(200))
        await asyncio.sleep(60)

    async with Proxied(manager, script) as play:
        play.send(POST)
        await play.read(len(CHUNKED))
        if how == "fin":
            play.writer.close()
        else:
            play.writer.transport.abort()
        await play.until(lambda: play.call.task is not None and play.call.task.done())

    assert play.call.cancelled


async def test_a_slow_client_slows_the_call(manager: AddonManager) -> None:
    """What waits for the client stays bounded; what was held arrives when it reads again."""
    given = 0

    async def script(call: ScriptedCall) -> None:
        nonlocal given
        await call.outlet.head(make_head(200, (b"content-length", b"40000000")))
        for _ in range(400):
            await call.outlet.data(bytes(100_000))
            given += 100_000
        await call.outlet.end()

    async with Proxied(manager, script) as play:
        play.writer.transport.pause_reading()  # type: ignore[attr-defined]
        play.send(POST)
        await asyncio.sleep(0.3)
        stuck = given
        play.writer.transport.resume_reading()  # type: ignore[attr-defined]
        await asyncio.wait_for(play.reader.readuntil(b"\r\n\r\n"), 20)
        assert len(await play.read(40_000_000)) == 40_000_000

    assert 0 < stuck < 20_000_000


async def test_a_slow_provider_slows_the_upload(manager: AddonManager) -> None:
    """The client's socket is paused, and stays so; nothing is lost when the provider goes on."""
    size, go_on = 30_000_000, asyncio.Event()
    received = bytearray()

    async def script(call: ScriptedCall) -> None:
        assert call.upload_body is not None
        await go_on.wait()
        async for chunk in call.upload_body.chunks():
            received.extend(chunk)
        await call.outlet.whole(make_head(200, (b"content-length", b"2")), b"ok")

    body = bytes(range(250)) * (size // 250)
    async with Proxied(manager, script) as play:
        play.send(POST.split(b"\r\n\r\n")[0].replace(b"4", b"%d" % size) + b"\r\n\r\n" + body)
        await asyncio.sleep(0.4)
        upload = play.call.upload_body
        assert upload is not None
        held = upload._size
        go_on.set()
        assert (await asyncio.wait_for(play.reader.readuntil(b"ok"), 20)).startswith(b"HTTP/1.1 200")

    assert UPLOAD_HIGH_WATER < held < UPLOAD_HIGH_WATER + 1_000_000
    assert received == body


async def test_an_upload_nobody_wants_does_not_hold_the_client_up(manager: AddonManager) -> None:
    """Refused early: the rest is taken from the client and dropped, the connection serves the next request."""
    size = 10_000_000

    async def script(call: ScriptedCall) -> None:
        if call.upload_body is not None:
            chunks = call.upload_body.chunks()
            await anext(chunks)
            await asyncio.sleep(0.1)
            await chunks.aclose()  # type: ignore[attr-defined]
            await call.outlet.whole(make_head(413, (b"content-length", b"2")), b"no")
            await asyncio.sleep(0.2)  # the call still has something to do
        else:
            await _answer(call)

    async with Proxied(manager, script) as play:
        play.send(POST.split(b"\r\n\r\n")[0].replace(b"4", b"%d" % size) + b"\r\n\r\n" + bytes(size) + POST)
        assert (await asyncio.wait_for(play.reader.readuntil(b"\r\n\r\nno"), 20)).startswith(b"HTTP/1.1 413")
        upload = play.handler.calls[0].upload_body
        assert await play.read(len(CHUNKED) + 12) == CHUNKED + b"2\r\nok\r\n0\r\n\r\n"
        assert upload is not None
        assert upload._size == 0
