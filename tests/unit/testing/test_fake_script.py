"""Scripts as JSON, the certificates, and the fake as a process of its own."""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import stat
import sys
from pathlib import Path

import pytest

from e2e.rawclient import RawClient
from mitm_balancer.testing import CA, FakeProvider, Step, steps
from mitm_balancer.testing.script import STEPS, load, step_from


def test_a_step_by_name_is_the_step() -> None:
    assert step_from("ok") == steps.ok()
    assert step_from({"step": "rate_limited", "retry_after": 3}) == steps.rate_limited(3)
    assert step_from({"step": "status", "code": 503, "headers": [["A", "b"]]}) == steps.status(
        503, headers=[("A", "b")]
    )
    assert step_from({"step": "raw", "parts": ["HTTP/1.1 200 OK\r\n", "\xff"]}) == steps.raw(
        b"HTTP/1.1 200 OK\r\n", b"\xff"
    )
    assert step_from({"step": "informational", "codes": [103]}) == steps.informational(103)
    assert step_from({"step": "closing", "how": "silent"}) == steps.closing("silent")
    assert {"ok", "cut", "stall", "silence", "error_first", "giant_line"} <= set(STEPS)


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ("nothing", "nothing"),
        ({"step": "ok", "colour": 1}, "colour"),
        ({"retry_after": 1}, "None"),
        ({"step": "cut", "how": "x"}, "x"),
    ],
)
def test_a_wrong_step_is_named(spec: object, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        step_from(spec)  # type: ignore[arg-type]


def test_a_wrong_key_is_named() -> None:
    with pytest.raises(ValueError, match="scripts"):
        load({"scripts": {}}, ca=None)


async def test_plain_http_when_there_is_no_ca() -> None:
    async with load({"labels": {"K": "k"}, "default": {"k": "overloaded"}}, ca=None) as fake:
        assert fake.url == f"http://127.0.0.1:{fake.port}"
        async with await RawClient.open("127.0.0.1", fake.port) as client:
            assert (await client.request("POST", "/v1/messages", [("x-api-key", "K")], b"{}")).status == 529


def test_leaves_verify_for_their_names_only(fake_ca: CA) -> None:
    leaf = fake_ca.issue(["api.example.test", "127.0.0.9"])
    assert stat.S_IMODE(leaf.key_path.stat().st_mode) == 0o600
    for name, good in (("api.example.test", True), ("127.0.0.9", True), ("other.test", False)):
        server_in, server_out, client_in, client_out = (ssl.MemoryBIO() for _ in range(4))
        server = leaf.context.wrap_bio(server_in, server_out, server_side=True)
        client = fake_ca.client_context().wrap_bio(client_in, client_out, server_hostname=name)
        failure = ""
        for _ in range(4):
            for side in (client, server):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    pass
                except ssl.SSLError as error:
                    failure = failure or str(error)
                server_in.write(client_out.read())
                client_in.write(server_out.read())
        assert (not failure) == good, failure


async def test_a_fault_of_the_fake_itself_is_loud(fake_ca: CA) -> None:
    def broken(_: object) -> Step:
        raise RuntimeError("in the test's own handler")

    with pytest.raises(RuntimeError, match="own handler"):
        async with FakeProvider({}, ca=None) as fake:
            fake.route("GET", "/x", broken)
            async with await RawClient.open("127.0.0.1", fake.port) as client:
                with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                    await client.request("GET", "/x")


async def test_as_a_process(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"labels": {"K": "k"}, "script": {"k": [{"step": "rate_limited", "retry_after": 9}]}}))
    command = [sys.executable, "-m", "mitm_balancer.testing", "--cert-dir", str(tmp_path), "--script", str(script)]
    addon = Path(__file__).resolve().parents[3] / "addon"
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, env={"PYTHONPATH": str(addon)}
    )
    assert process.stdout is not None
    ready = json.loads(await process.stdout.readline())
    context = ssl.create_default_context(cafile=ready["ca"])
    async with await RawClient.open("127.0.0.1", ready["port"], context=context) as client:
        answer = await client.request("POST", "/v1/messages", [("x-api-key", "K")], b"{}")
        assert (answer.status, answer.header("retry-after")) == (429, "9")
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


def test_a_script_that_cannot_be_played_ends_with_1(tmp_path: Path) -> None:
    from mitm_balancer.testing.__main__ import main

    script = tmp_path / "script.json"
    script.write_text('{"script": {"k": ["nothing"]}}')
    assert main(["--script", str(script)]) == 1
