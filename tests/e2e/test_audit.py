"""What a running proxy tells of itself: the audit log, the metrics, the notices. The provider's ledger is the truth."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from e2e.conftest import Launch
from e2e.harness import How, Proxy, account, config
from e2e.helpers import ANTHROPIC, CHAT, Speech, accounts_of, until
from e2e.rawclient import RawAnswer
from e2e.test_secrets import ACCOUNTS, CLIENTS, COOKIE, OWN
from mitm_balancer.core.verdict import Verdict
from mitm_balancer.ops.audit import stamp
from mitm_balancer.store import Store
from mitm_balancer.testing import FakeProvider, steps

type Line = dict[str, Any]

SECONDS = 5.0


def lines_of(proxy: Proxy) -> list[Line]:
    path = proxy.home / "audit.ndjson"
    return [json.loads(text) for text in path.read_text().splitlines()] if path.exists() else []


async def eventually(check: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not check():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.05)


async def audit_has(proxy: Proxy, event: str, count: int = 1) -> list[Line]:
    """Its lines of that type, once there are so many."""

    def found() -> list[Line]:
        return [line for line in lines_of(proxy) if line["event"] == event]

    await eventually(lambda: len(found()) >= count, f"the audit log has no {count} lines {event}")
    return found()


async def ask(proxy: Proxy, *, stream: bool = False, test_id: str = "", speech: Speech = ANTHROPIC) -> RawAnswer:
    async with await proxy.dial(speech.host) as client:
        return await client.request(*speech.request(stream=stream, test_id=test_id))


async def test_the_log_tells_exactly_what_the_provider_saw(fake: FakeProvider, launch: Launch, how: How) -> None:
    """Order, accounts and statuses of every attempt of every request: refusals, faults, success, exhaustion."""
    fake.play("anthropic0", steps.rate_limited(retry_after=600))
    fake.play("anthropic1", steps.ok(), steps.server_error(), then=steps.ok())
    fake.play("anthropic2", steps.ok(), then=steps.quota(7200))
    fake.play("anthropic3", then=steps.unauthorized())
    policy = {"hold_ms": 0, "backoff": {"base_ms": 1, "max_ms": 1}}
    proxy = await launch(config(*accounts_of(fake, "anthropic", 4), policy=policy), how=how)
    told: dict[str, str] = {}
    for number in range(4):
        answer = await ask(proxy, stream=number % 2 == 0, test_id=f"t{number}")
        header = answer.header("x-balancer") or ""
        told[header.partition("request=")[2][:12]] = f"t{number}"
        if number == 1:
            fake.play("anthropic1", then=steps.quota(7200))
    finished = await audit_has(proxy, "completed", 4)
    lines = lines_of(proxy)

    verdicts = [line for line in lines if line["event"] == "verdict"]
    seen = [(told[line["request_id"]], line["account"], line["status"]) for line in verdicts]
    assert seen == [(record.test_id, f"anthropic/{record.label}", record.status) for record in fake.ledger]
    assert len(seen) >= 7, "the script made too few attempts"
    began = [(line["request_id"], line["attempt"], line["account"]) for line in lines if line["event"] == "attempt"]
    assert began == [(line["request_id"], line["attempt"], line["account"]) for line in verdicts]
    assert [line["ts"] for line in lines if line["event"] == "attempt"] == sorted(
        line["ts"] for line in lines if line["event"] == "attempt"
    )
    for line in finished:
        mine = [record for record in fake.ledger if record.test_id == told[line["request_id"]]]
        assert line["attempts"] == len(mine)
        if line["answered_by"] == "account":
            assert (line["account"], line["status"]) == (f"anthropic/{mine[-1].label}", mine[-1].status)
            assert line["bytes_out"] == mine[-1].bytes_sent
        else:
            assert (line["answered_by"], line["status"]) == ("balancer", 429)
    assert finished[-1]["answered_by"] == "balancer"
    billed = [told[line["request_id"]] for line in verdicts if line["billed"] == "yes"]
    assert billed == [record.test_id for record in fake.ledger if record.accepted_generation]
    kinds = {line["event"] for line in lines}
    assert {"rate_limit_detected", "cooldown_started", "reauth_required", "failover_performed", "exhausted"} <= kinds


async def test_a_client_that_leaves_is_told_as_one(fake: FakeProvider, launch: Launch) -> None:
    """In the middle of an attempt: no verdict, nothing that counts against the account."""
    fake.play("anthropic0", steps.stall(1), then=steps.ok())
    proxy = await launch(config(*accounts_of(fake, "anthropic", 1)), how="balancer")
    client = await proxy.dial(ANTHROPIC.host)
    await client.start(*ANTHROPIC.request(stream=False))
    await audit_has(proxy, "attempt")
    await client.close()

    (line,) = await audit_has(proxy, "completed")

    assert line["ended"] == "cancelled by the client"
    assert {"cooldown_started", "breaker_opened"}.isdisjoint(told["event"] for told in lines_of(proxy))


async def test_what_a_command_does_is_told_by_the_proxy(fake: FakeProvider, launch: Launch) -> None:
    """Another process has left it in the store; the proxy's own events are not told twice."""
    fake.play("anthropic0", then=steps.rate_limited(retry_after=600))
    proxy = await launch(config(*accounts_of(fake, "anthropic", 1), policy={"hold_ms": 0}), how="balancer")
    await ask(proxy)
    await audit_has(proxy, "exhausted")
    await asyncio.sleep(0.6)  # so that its own events are in the store, and were seen there

    def command() -> None:
        store = Store.open(proxy.home)
        store.add_event("operator_paused", "anthropic/anthropic0", "paused by the operator", {"by": "a test"})
        store.close()

    await asyncio.to_thread(command)
    (line,) = await audit_has(proxy, "operator_paused")

    assert (line["account"], line["data"]) == ("anthropic/anthropic0", {"by": "a test"})
    await asyncio.sleep(0.6)
    for kind in ("exhausted", "operator_paused", "cooldown_started", "proxy_started"):
        assert len([told for told in lines_of(proxy) if told["event"] == kind]) == 1, kind


async def test_the_end_of_a_cooldown_is_told(fake: FakeProvider, launch: Launch) -> None:
    fake.play("anthropic0", steps.rate_limited(retry_after=1), then=steps.ok())
    proxy = await launch(config(*accounts_of(fake, "anthropic", 1), policy={"hold_ms": 0}), how="balancer")
    await ask(proxy)

    (begin,) = await audit_has(proxy, "cooldown_started")
    (end,) = await audit_has(proxy, "cooldown_ended")

    assert begin["ts"] < end["ts"] < stamp(time.time())
    assert end["account"] == "anthropic/anthropic0"


async def test_it_can_go_to_standard_output(fake: FakeProvider, launch: Launch) -> None:
    proxy = await launch(config(*accounts_of(fake, "anthropic", 1), audit={"to": "stdout"}), how="balancer")
    await proxy.says('"proxy_started"')
    fake.play("anthropic0", then=steps.ok())
    await ask(proxy)

    output = await proxy.stop()

    told = [json.loads(line) for line in output.splitlines() if line.startswith('{"ts"')]
    assert [line["event"] for line in told] == [
        "proxy_started", "request_started", "attempt", "verdict", "commit", "completed", "proxy_stopped",
    ]  # fmt: skip
    assert not (proxy.home / "audit.ndjson").exists()


async def test_a_reload_moves_it(fake: FakeProvider, launch: Launch, tmp_path: Path) -> None:
    accounts = accounts_of(fake, "anthropic", 1)
    proxy = await launch(config(*accounts, audit={"to": "off"}), how="balancer")
    await asyncio.sleep(0.3)
    assert lines_of(proxy) == []

    proxy.rewrite(config(*accounts, audit={"to": "file"}))
    await audit_has(proxy, "config_reloaded")
    proxy.rewrite("version: 2")
    (line,) = await audit_has(proxy, "config_rejected")

    assert "config.yaml:1" in line["problem"]


async def test_a_full_disk_fails_no_request(fake: FakeProvider, launch: Launch) -> None:
    fake.play("anthropic0", then=steps.ok())
    proxy = await launch(config(*accounts_of(fake, "anthropic", 1), audit={"to": "/dev/full"}), how="balancer")

    answers = [await ask(proxy) for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 200]
    await proxy.says("the audit log cannot be written")


# -- metrics --------------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def scrape(port: int) -> str:
    def get() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    return await asyncio.to_thread(get)


async def test_metrics_count_what_the_provider_saw(fake: FakeProvider, launch: Launch) -> None:
    fake.play("anthropic0", then=steps.rate_limited(retry_after=600))
    fake.play("anthropic1", then=steps.ok(events=3))
    port = free_port()
    metrics = {"listen": f"127.0.0.1:{port}"}
    proxy = await launch(config(*accounts_of(fake, "anthropic", 2), metrics=metrics), how="balancer")
    for _ in range(3):
        await ask(proxy, stream=True)
    await audit_has(proxy, "completed", 3)
    cooling = 'balancer_cooldown_seconds{account="anthropic/anthropic0"}'

    async def gauged() -> bool:
        page = await scrape(port)
        return f"{cooling} 0.0" not in page and 'balancer_in_flight{account="anthropic/anthropic1"} 0.0' in page

    await until(gauged, "gauges, every half second")

    page = await scrape(port)

    attempts = 'balancer_attempts_total{account="anthropic/%s",provider="anthropic",verdict="%s"} %.1f'
    for verdict in Verdict:
        for label in ("anthropic0", "anthropic1"):
            good = label == "anthropic1"
            fits = verdict is (Verdict.SUCCESS if good else Verdict.RATE_LIMITED)
            assert (attempts % (label, verdict.value, len(fake.ledger.of(label))) in page) is fits
    assert 'balancer_failovers_total{provider="anthropic"} 1.0' in page
    assert 'balancer_request_seconds_count{provider="anthropic"} 3.0' in page
    assert 'balancer_in_flight{account="anthropic/anthropic1"} 0.0' in page
    (left,) = [line for line in page.splitlines() if 'cooldown_seconds{account="anthropic/anthropic0"}' in line]
    assert 590 < float(left.split()[-1]) < 700


async def test_a_taken_port_is_told_and_the_proxy_goes_on(fake: FakeProvider, launch: Launch) -> None:
    fake.play("anthropic0", then=steps.ok())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        proxy = await launch(config(*accounts_of(fake, "anthropic", 1), metrics={"listen": where}), how="balancer")
        await proxy.says(f"no metrics on {where}: Address already in use")
        assert (await ask(proxy)).status == 200
    port = free_port()
    proxy.rewrite(config(*accounts_of(fake, "anthropic", 1), metrics={"listen": f"127.0.0.1:{port}"}))
    await proxy.says(f"metrics on http://127.0.0.1:{port}/metrics")
    assert "balancer_info" in await scrape(port)
    proxy.rewrite(config(*accounts_of(fake, "anthropic", 1)))
    await audit_has(proxy, "config_reloaded", 2)

    async def closed() -> bool:
        try:
            await scrape(port)
        except OSError:
            return True
        return False

    await until(closed, "the end of the exporter")


# -- notices --------------------------------------------------------------------------------------------------------


async def test_notices_reach_a_command_and_a_webhook(fake: FakeProvider, launch: Launch, tmp_path: Path) -> None:
    """And a webhook that fails is told once, without its URL."""
    target = tmp_path / "told"
    script = f"import sys; open({str(target)!r}, 'a').write(sys.stdin.read())"
    fake.route("POST", "/hooks/CANARY-HOOK", steps.ok(body=b"{}"))
    notices = {"command": [sys.executable, "-c", script], "webhook": {"file": "hook"}, "min_interval_s": 0}
    (tmp_path / "home").mkdir(mode=0o700)
    (tmp_path / "home" / "hook").touch(mode=0o600)
    (tmp_path / "home" / "hook").write_text(f"{fake.url}/hooks/CANARY-HOOK\n")
    fake.play("anthropic0", steps.rate_limited(retry_after=600))
    fake.play("anthropic1", steps.ok(), then=steps.rate_limited(retry_after=900))
    accounts = accounts_of(fake, "anthropic", 2)
    proxy = await launch(config(*accounts, notices=notices, policy={"hold_ms": 0}), how="balancer")
    assert (await ask(proxy)).status == 200
    await eventually(lambda: any("/hooks" in record.target for record in fake.ledger), "the webhook was not called")
    fake.route("POST", "/hooks/CANARY-HOOK", steps.server_error())
    assert (await ask(proxy)).status == 429
    await eventually(lambda: target.exists() and target.read_text().count("\n") == 2, "no second call of the command")
    (failed,) = await audit_has(proxy, "notice_failed")

    switch, out = [json.loads(line) for line in target.read_text().splitlines()]
    assert switch["text"].startswith("anthropic/anthropic0 is rate limited (back in 1")
    assert switch["text"].endswith("): switching to anthropic1")
    assert (out["event"], out["account"]) == ("exhausted", "anthropic")
    posted = [record for record in fake.ledger if record.target == "/hooks/CANARY-HOOK"]
    assert [json.loads(record.body) for record in posted] == [switch, out]
    assert failed["problem"] == "notices.webhook: 127.0.0.1 answers 500"
    assert "CANARY" not in await proxy.stop()


async def test_a_webhook_that_is_not_there_is_told_at_the_start(fake: FakeProvider, launch: Launch) -> None:
    """Not only in the emergency; the cure needs no restart."""
    fake.route("POST", "/hooks/CANARY-HOOK", steps.ok(body=b"{}"))
    fake.play("anthropic0", steps.rate_limited(retry_after=600))
    notices = {"webhook": {"file": "hook"}, "min_interval_s": 0}
    proxy = await launch(config(*accounts_of(fake, "anthropic", 2), notices=notices), how="balancer")
    await proxy.says("notices.webhook: file ")
    with closing(Store.open(proxy.home)) as store:
        await until(lambda: "does not exist" in str((store.get_state("proxy") or {}).get("observing_problems")))
        (proxy.home / "hook").touch(mode=0o600)
        (proxy.home / "hook").write_text(f"{fake.url}/hooks/CANARY-HOOK\n")
        assert (await ask(proxy)).status == 200
        await eventually(lambda: any("/hooks" in record.target for record in fake.ledger), "it was not called")
        await until(lambda: not (store.get_state("proxy") or {}).get("observing_problems"), "the end of the problem")
    assert "CANARY" not in await proxy.stop()


# -- secrets --------------------------------------------------------------------------------------------------------


async def test_nothing_that_is_told_holds_a_secret(fake: FakeProvider, launch: Launch, tmp_path: Path) -> None:
    """Refusals that quote the key, cookies, credentials of the client in every place: audit, events, traces, metrics,
    notices."""
    target = tmp_path / "told"
    script = f"import sys; open({str(target)!r}, 'a').write(sys.stdin.read())"
    port = free_port()
    names = tuple(ACCOUNTS)
    fake.labels.update({key: alias for alias, key in ACCOUNTS.items()})
    cookies = (("Set-Cookie", f"sid={COOKIE}"),)
    for alias, key in ACCOUNTS.items():
        quoted = f"Incorrect API key provided: {key}"
        fake.play(alias, then=steps.unauthorized(headers=cookies, message=quoted))
    text = config(
        *(account("openai", alias, ACCOUNTS[alias], fake) for alias in names),
        policy={"hold_ms": 0},
        metrics={"listen": f"127.0.0.1:{port}"},
        notices={"command": [sys.executable, "-c", script], "min_interval_s": 0},
    )
    proxy = await launch(text, how="balancer")
    method, path, _, body = CHAT.request(stream=True)
    async with await proxy.dial(CHAT.host) as client:
        headers = [("content-type", "application/json"), *OWN]
        await client.request(method, f"{path}?key={CLIENTS['query']}", headers, body)
    await audit_has(proxy, "completed")
    await eventually(lambda: target.exists() and target.read_text().count("reauth_required") == 4, "no four notices")
    page = await scrape(port)
    await proxy.stop()
    store = Store.open(proxy.home)
    events, trace = [repr(event) for event in store.events(limit=1000)], store.get_trace("last")
    store.close()

    assert len(fake.ledger) == 4, "not every account was asked"
    shown = {
        "audit": (proxy.home / "audit.ndjson").read_text(),
        "events": "\n".join(events),
        "trace": json.dumps(trace),
        "metrics": page,
        "notices": target.read_text(),
    }
    for where, found in shown.items():
        assert "openai/" in found or "openai" in found, f"{where} tells nothing"
        assert "CANARY" not in found, f"{where}: {found[max(0, found.index('CANARY') - 200) :][:300]}"
