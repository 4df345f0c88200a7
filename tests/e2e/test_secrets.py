"""P7: canaries are planted as every credential there is, and every output is searched for them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from e2e.conftest import Launch
from e2e.harness import How, Proxy, account, config
from e2e.helpers import ANTHROPIC
from e2e.rawclient import RawAnswer
from mitm_balancer.testing import FakeProvider, steps

ACCOUNTS = {kind: f"CANARY-ACCOUNT-{kind.upper()}" for kind in ("literal", "env", "file", "command")}
"""alias -> its key, given in that way."""

CLIENTS = {
    "bearer": "CANARY-CLIENT-BEARER",
    "x-api-key": "CANARY-CLIENT-XAPIKEY",
    "api-key": "CANARY-CLIENT-APIKEY",
    "x-goog-api-key": "CANARY-CLIENT-GOOG",
    "query": "CANARY-CLIENT-QUERY",
    "cookie": "CANARY-CLIENT-COOKIE",
    "proxy": "CANARY-CLIENT-PROXYAUTH",
}
COOKIE = "CANARY-PROVIDER-COOKIE"
LOGIN_SENT, LOGIN_GOT = "CANARY-REFRESH-SENT", "CANARY-REFRESH-GOT"
MARK = b"CANARY"

OWN = [
    ("authorization", f"Bearer {CLIENTS['bearer']}"),
    ("x-api-key", CLIENTS["x-api-key"]),
    ("api-key", CLIENTS["api-key"]),
    ("x-goog-api-key", CLIENTS["x-goog-api-key"]),
    ("cookie", f"session={CLIENTS['cookie']}; other=1"),
    ("proxy-authorization", f"Basic {CLIENTS['proxy']}"),
]
QUERY = f"key={CLIENTS['query']}&x=1"

BOOM = """
import mitm_balancer.proxy.facts as facts

read = facts.read

def breaking(request, *arguments):
    if "x-boom" in request.headers:
        raise RuntimeError(f"a fault of ours: {request.headers!r} {request.path}")
    return read(request, *arguments)

facts.read = breaking
"""


def _configuration(fake: FakeProvider, folder: Path) -> str:
    """One account of each kind of credential, at the fake's own address: what fails open arrives there as well."""
    key_file = folder / "key.txt"
    key_file.touch(mode=0o600)
    key_file.write_text(ACCOUNTS["file"] + "\n")
    other = folder / "command.txt"
    other.write_text(ACCOUNTS["command"] + "\n")
    sources: Mapping[str, Any] = {
        "literal": ACCOUNTS["literal"],
        "env": {"env": "SOME_ACCOUNT_KEY"},
        "file": {"file": str(key_file)},
        "command": {"command": f"cat {other}"},
    }
    fake.labels.clear()
    fake.labels.update({key: alias for alias, key in ACCOUNTS.items()} | {CLIENTS["bearer"]: "client"})
    corp = {
        "hosts": [f"127.0.0.1:{fake.port}"],
        "dialect": "anthropic-messages",
        "auth": "x-api-key",
        "paths": ["/v1/*"],
    }
    accounts = [{"provider": "corp", "alias": alias, "credential": source} for alias, source in sources.items()]
    return config(*accounts, providers={"corp": corp}, policy={"hold_ms": 0})


async def _ask(
    proxy: Proxy, fake: FakeProvider, path: str = "/v1/messages", extra: Any = (), body: bytes | None = None
) -> RawAnswer:
    _, _, _, usual = ANTHROPIC.request(stream=True)
    async with await proxy.dial("127.0.0.1", fake.port) as client:
        headers = [("content-type", "application/json"), *OWN, *extra]
        return await client.request("POST", f"{path}?{QUERY}", headers, usual if body is None else body)


def _play(fake: FakeProvider) -> None:
    """What a provider says can hold a secret too: cookies, and keys that it quotes in its refusal."""
    cookies = (("Set-Cookie", f"sid={COOKIE}; Path=/"),)
    quoted = {alias: f"Incorrect API key provided: {key}" for alias, key in ACCOUNTS.items()}
    fake.play("literal", steps.rate_limited(retry_after=600, headers=cookies, message=quoted["literal"]))
    fake.play("env", steps.unauthorized(headers=cookies, message=quoted["env"]))
    fake.play("file", steps.quota(3600, headers=cookies, message=quoted["file"], coding="gzip"))
    fake.play("command", steps.ok(headers=cookies), steps.stall(1, headers=cookies))
    login = json.dumps({"access_token": LOGIN_GOT}).encode()
    fake.route("POST", "/oauth/token", steps.ok(body=login, headers=cookies))


async def test_no_output_holds_a_secret(fake: FakeProvider, launch: Launch, tmp_path: Path, how: How) -> None:
    """Success, failover, refusals that quote the key, a login, exhaustion, a fault of ours, a stream at the end.

    Searched: the log at its most talkative, the dump, the HAR, the database with its WAL, the process list, every error
    answer and `x-balancer`. And that the canaries were there at all: the provider got each of them.
    """
    boom = tmp_path / "boom.py"
    boom.write_text(BOOM)
    dump, har = tmp_path / "flows.mitm", tmp_path / "flows.har"
    talkative = ("termlog_verbosity=debug", "flow_detail=4", f"save_stream_file={dump}", f"hardump={har}")
    args = ["-s", str(boom), *(word for spec in talkative for word in ("--set", spec))]
    text = _configuration(fake, tmp_path)
    _play(fake)
    proxy = await launch(text, how=how, args=args, env={"SOME_ACCOUNT_KEY": ACCOUNTS["env"]})

    served = await _ask(proxy, fake)
    assert served.status == 200 and served.header("set-cookie") == f"sid={COOKIE}; Path=/"
    assert [record.label for record in fake.ledger] == ["literal", "env", "file", "command"]
    assert all(record.carriers == ("x-api-key",) for record in fake.ledger), "a credential of the client went along"

    broken = await _ask(proxy, fake, extra=[("x-boom", "1")])
    assert (broken.status, fake.ledger[-1].label) == (200, "client")

    login = await _ask(proxy, fake, "/oauth/token", body=f"refresh_token={LOGIN_SENT}".encode())
    assert login.json() == {"access_token": LOGIN_GOT}
    assert LOGIN_SENT.encode() in fake.ledger[-1].body
    assert dict(fake.ledger[-1].headers)[b"authorization"] == f"Bearer {CLIENTS['bearer']}".encode()
    assert all(CLIENTS[name] in str(fake.ledger[-1].headers) for name in CLIENTS if name not in ("query", "proxy"))
    assert QUERY in fake.ledger[-1].target

    running = await proxy.dial("127.0.0.1", fake.port)
    await running.start("POST", f"/v1/messages?{QUERY}", OWN, ANTHROPIC.request(stream=True)[3])
    head = await running.read_head()
    assert head.status == 200
    fake.play("command", then=steps.rate_limited(retry_after=600, message=ACCOUNTS["command"]))
    exhausted = [await _ask(proxy, fake) for _ in range(2)]
    assert [answer.status for answer in exhausted] == [429, 429]

    arguments = _process_list(proxy)
    await asyncio.sleep(0.3)  # what is shown a moment later (failed attempts), and the store's writer
    database = {path.name: path.read_bytes() for path in proxy.home.glob("*.sqlite*")}
    log = await proxy.stop()
    await running.close()
    database |= {f"{path.name} at the end": path.read_bytes() for path in proxy.home.glob("*.sqlite*")}

    shown = {
        "log": log.encode(),
        "dump": dump.read_bytes(),
        "har": har.read_bytes(),
        "process list": arguments,
        "exhausted": b"".join(answer.raw_head + answer.body for answer in exhausted),
        "x-balancer": " ".join(a.header("x-balancer") or "" for a in (served, broken, *exhausted)).encode(),
        **database,
    }
    assert b"boom" in shown["log"] and b"/v1/messages" in shown["log"], "the log was not talkative"
    assert shown["dump"].count(b"/v1/messages") >= 6 and json.loads(shown["har"])["log"]["entries"]
    assert any(b"corp/file" in data for data in database.values())
    for where, data in shown.items():
        found = {canary for canary in _canaries() if canary in data}
        assert not found, f"{where} holds {sorted(found)}: {_around(data, next(iter(found)))!r}"
        assert MARK not in data, f"{where}: {_around(data, MARK)!r}"


def _canaries() -> set[bytes]:
    texts = {*ACCOUNTS.values(), *CLIENTS.values(), COOKIE, LOGIN_SENT, LOGIN_GOT}
    return {text.encode() for text in texts}


def _around(data: bytes, canary: bytes) -> bytes:
    at = data.index(canary)
    return data[max(0, at - 200) : at + 100]


def _process_list(proxy: Proxy) -> bytes:
    """The arguments of the proxy and of everything that it has started."""
    found = b""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if proxy.process.pid in (parent, int(folder.name)):
                found += (folder / "cmdline").read_bytes()
        except OSError:
            continue
    assert b"balancer" in found
    return found


async def test_saying_everything_tells_no_header_of_an_h2_client(fake: FakeProvider, launch: Launch, how: How) -> None:
    """`-v`: the library below HTTP/2 would tell each header that it decodes."""
    proxy = await launch(config(account("anthropic", "a", ACCOUNTS["literal"], fake)), how=how, args=["-v"])
    async with await proxy.dial_h2(ANTHROPIC.host) as client:
        answer = await client.request("POST", "/v1/messages", [("x-api-key", CLIENTS["x-api-key"])], b"{}")
    log = (await proxy.stop()).encode()

    assert answer.header("x-balancer") and b"client connect" in log, "the log was not talkative"
    assert MARK not in log, _around(log, MARK)
