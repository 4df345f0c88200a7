"""Polls put together: what is asked over a real upstream's interface ends in the book, the store and the evidence."""

from __future__ import annotations

import json
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mitm_balancer.accounts.model import AccountSettings, Credential, StoredAccount
from mitm_balancer.config import AccountSpec, BaseUrl, Config, Stored, UsagePolls
from mitm_balancer.config.sources import Env
from mitm_balancer.core.admission import Admission
from mitm_balancer.core.evidence import Source
from mitm_balancer.core.health import Health
from mitm_balancer.ops.events import EventType
from mitm_balancer.providers.limits import Window
from mitm_balancer.providers.registry import Registry
from mitm_balancer.proxy.runtime import Runtime
from mitm_balancer.proxy.tasks import spawn
from mitm_balancer.running.circumstances import circumstances, windows_to_evidence
from mitm_balancer.running.polling import Polls, over, subject
from mitm_balancer.secrets import Secret
from mitm_balancer.store import Store
from mitm_balancer.store.snapshots import SnapshotRow, listed
from mitm_balancer.testing import FakeProvider
from mitm_balancer.upstream.fake import FakeUpstream
from mitm_balancer.upstream.pool import Pool
from mitm_balancer.usage.book import Book
from mitm_balancer.usage.poller import Result
from mitm_balancer.usage.polls.model import AskError, Finding, Question, unavailable

CANARY = "canary-0123456789-abcdef"
WORK = "codex/work"


def spec(**fields: Any) -> AccountSpec:
    return AccountSpec("codex", "work", Env("X"), **fields)


class Kept:
    """Polls whose results are handed in, and where they end."""

    def __init__(self, home: Path) -> None:
        self.store = Store.open(home)
        self.book = Book()
        self.events: list[tuple[str, str, str]] = []
        self.polls = Polls(FakeUpstream(), self.book, self.store, spawn, lambda *event: self.events.append(event))
        self.polls.poller.configure([subject(spec(), Secret(CANARY))], 300.0)

    def keep(self, finding: Finding, *, wished: bool = False, error: str = "") -> SnapshotRow:
        at = time.time()
        self.polls._keep(Result(subject(spec(), Secret(CANARY)), finding, at, at + 10, wished, error))
        deadline = time.monotonic() + 20
        while not (row := listed(self.store).get(WORK)) or row.fetched_at != at:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return row


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "home")


def exact(*windows: Window, **fields: Any) -> Finding:
    return Finding("exact", f"fetched with {CANARY}", "ChatGPT Plus", windows, **fields)


def test_a_finding_is_kept_without_secrets_and_people(kept: Kept) -> None:
    raw = {"email": "me@corp.example", "access_token": "x", "note": f"key {CANARY}", "n": 1}
    row = kept.keep(exact(Window("primary", 40.0, wait=600.0, minutes=300), raw=(raw,)))
    assert (row.confidence, row.plan, row.message) == ("exact", "ChatGPT Plus", "fetched with [redacted]")
    (stored,) = json.loads(row.raw_redacted)
    assert stored == {"email": "[email]", "access_token": "[redacted]", "note": "key [redacted]", "n": 1}
    (seen,) = kept.book.snapshot(time.time()).windows
    assert (seen.account, seen.window.used_percent, seen.source) == (WORK, 40.0, Source.POLL)
    kept.store.close()
    for file in kept.store.path.parent.iterdir():
        assert CANARY.encode() not in file.read_bytes()


def test_a_failure_keeps_the_windows_and_redacts_the_error(kept: Kept) -> None:
    kept.keep(exact(Window("primary", 40.0)))
    row = kept.keep(unavailable("HTTP 500"), error=f"boom {CANARY}")
    assert (row.confidence, row.message, row.error) == ("unavailable", "HTTP 500", "boom [redacted]")
    assert [seen.window.used_percent for seen in kept.book.snapshot(time.time()).windows] == [40.0]


def test_only_changes_and_wishes_are_events(kept: Kept) -> None:
    for finding, wished in (
        (exact(), False),
        (exact(), False),
        (unavailable("a"), False),
        (unavailable("b"), False),
        (unavailable("c"), True),
        (exact(), False),
    ):
        kept.keep(finding, wished=wished)
    assert [(kind, message) for kind, _, message in kept.events] == [
        (EventType.USAGE_REFRESHED, "fetched with [redacted]"),
        (EventType.USAGE_UNAVAILABLE, "a"),
        (EventType.USAGE_UNAVAILABLE, "c"),
        (EventType.USAGE_REFRESHED, "fetched with [redacted]"),
    ]


def test_a_poll_never_lifts_what_a_refusal_or_a_header_said() -> None:
    admission = Admission()
    clock = 500.0
    made = Runtime(
        Registry([]), {}, Health(random.Random(0), changes=admission.changes), FakeUpstream(),
        around=circumstances(admission), admission=admission, clock=lambda: clock,
    )  # fmt: skip
    made.book.listener = windows_to_evidence(made)
    evidence, now = made.around.known.evidence, time.time()
    made.book.windows(WORK, [Window("primary", 90.0, wait=900.0)], now)
    made.book.windows(WORK, [Window("primary", 10.0, wait=900.0)], now, Source.POLL)
    assert evidence.outlook(WORK, "", clock).left == pytest.approx(10.0), "the header is believed"
    evidence.learnt(WORK, "", clock + 60, clock)
    made.book.windows(WORK, [Window("secondary", 1.0)], now, Source.POLL)
    assert evidence.outlook(WORK, "", clock).left == 0.0


def test_a_subject_knows_what_its_credential_tells() -> None:
    base = BaseUrl("https", "gateway.example", 443, "/v1")
    found = subject(
        spec(base_url=base, identity=(("a", "1"),)),
        Secret(CANARY),
        Credential("oauth", Secret(CANARY), identity={"a": "2"}, extra={"b": "3"}),
    )
    assert (found.kind, found.base, dict(found.identity)) == (
        "oauth",
        "https://gateway.example/v1",
        {"a": "1", "b": "3"},
    )
    assert subject(AccountSpec("openai", "k", Env("X")), Secret("sk-1")).kind == "api"
    assert subject(AccountSpec("anthropic", "k", Env("X")), Secret("sk-ant-oat01-1")).kind == "oauth"
    assert subject(AccountSpec("anthropic", "k", Env("X")), Secret("sk-ant-api03-1")).kind == "api"


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with FakeProvider({"x": "work"}, ca=None) as provider:
        yield provider


async def test_it_is_asked_over_the_pool(fake: FakeProvider) -> None:
    """Real sockets: the credential in its header, our own name, and an answer that is no usage."""
    pool = Pool()
    try:
        answer = await over(pool)(Question(f"{fake.url}/backend-api/wham/usage", (("Authorization", "Bearer x"),)))
        with pytest.raises(AskError):
            await over(pool)(Question("https://127.0.0.1:1/none"))
    finally:
        await pool.aclose()
    (record,) = fake.ledger.records
    assert (answer.status, record.status, record.label) == (record.status, record.status, "work")
    assert answer.headers["content-type"].startswith("application/json")
    assert (record.header(b"user-agent") or "").startswith("mitm-balancer/")


async def test_a_wish_tells_who_was_not_asked(kept: Kept) -> None:
    kept.polls.poller.configure([], 0.0)
    assert await kept.polls.wished({"accounts": [WORK]}) == {
        "outcome": {WORK: "it is disabled, or has no credential to ask with"}
    }
    assert await kept.polls.wished({}) == {"outcome": {}}


def test_who_is_asked(kept: Kept) -> None:
    """Enabled, not switched off, with a credential; of a stored account also what the store holds beside it."""
    off = {"codex/off"}
    polls = Polls(FakeUpstream(), kept.book, None, spawn, lambda *_: None, lambda account: account.name in off)
    credential = Credential(
        "oauth", Secret("a"), Secret("r"), identity={"account_id": "x"}, extra={"enterprise_url": "y"}
    )
    stored = StoredAccount("1", "codex", "kept", credential, 1, AccountSettings(), "add", 0.0, 0.0)
    specs = (
        spec(),
        AccountSpec("codex", "off", Env("X")),
        AccountSpec("codex", "not", Env("X"), enabled=False),
        AccountSpec("codex", "none", Env("X")),
        AccountSpec("codex", "kept", Stored("codex/kept")),
    )
    polls.pace(
        Config(accounts=specs, usage=UsagePolls(every_s=60)),
        lambda account: None if account.alias == "none" else Secret("s"),
        [stored],
    )
    assert list(polls.poller._subjects) == ["codex/work", "codex/kept"]
    found = polls.poller._subjects["codex/kept"]
    assert (found.kind, found.refresh, found.identity["account_id"]) == ("oauth", Secret("r"), "x")
    assert polls.poller.every == 60.0
    polls.pace(Config(accounts=specs, usage=UsagePolls(poll=False)), lambda _: Secret("s"), [])
    assert polls.poller.every == 0.0
