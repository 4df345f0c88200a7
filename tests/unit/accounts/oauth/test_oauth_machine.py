"""Whatever the endpoint, the network, the clock and the power do, in any order: no refresh token is sent twice unless
the answer said that it was not used, nothing that was stored is lost, and a healthy login always comes back."""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.model import Credential, StoredAccount
from mitm_balancer.accounts.oauth import keeper
from mitm_balancer.accounts.oauth.outcome import Fresh, NeedsLogin
from mitm_balancer.accounts.oauth.refresher import Refresher
from mitm_balancer.accounts.vault import Vault
from mitm_balancer.core.verdict import Sent
from mitm_balancer.secrets import Secret
from mitm_balancer.store import Store
from mitm_balancer.upstream.base import UpstreamError, WireRequest
from mitm_balancer.upstream.fake import FakeUpstream, Reply

LIFE = 3600.0
START = 1.9e9


class KilledError(BaseException):
    """The process ends here."""


class Endpoint:
    """Rotates; a used token that comes again is what must not happen."""

    def __init__(self) -> None:
        self.fate = "ok"
        self.number = 1
        self.current = "refresh-token-1"
        self.used: set[str] = set()
        self.reuses = 0
        self.sent = 0

    def login(self) -> Credential:
        self.number += 1
        self.current = f"refresh-token-{self.number}"
        return self.credential()

    def credential(self) -> Credential:
        return Credential(
            "oauth", Secret(f"access-{self.number}"), Secret(self.current), START + LIFE, extra={"life": str(LIFE)}
        )

    def __call__(self, request: WireRequest) -> Reply | UpstreamError:
        assert isinstance(request.body, bytes)
        token = json.loads(request.body)["refresh_token"]
        if self.fate == "unreachable":
            return UpstreamError("connect", "nobody there", sent=Sent.NOTHING)
        self.sent += 1
        if token in self.used:
            self.reuses += 1
        if self.fate == "cut before":
            return UpstreamError("head", "reset", sent=Sent.ALL)
        if self.fate == "error":
            return Reply(503, body=[b"down"])
        if self.fate == "busy":
            return Reply(429, ((b"retry-after", b"20"),), body=[b"{}"])
        if self.fate == "invalid" or token != self.current:
            return Reply(400, body=[b'{"error": "invalid_grant"}'])
        self.used.add(token)
        self.number += 1
        self.current = f"refresh-token-{self.number}"
        if self.fate == "cut after":
            return UpstreamError("head", "reset", sent=Sent.ALL)
        if self.fate == "garbage":
            return Reply(200, body=[b"<html>"])
        body = {"access_token": f"access-{self.number}", "refresh_token": self.current, "expires_in": LIFE}
        return Reply(200, body=[json.dumps(body).encode()])


class Life:
    """A home, and the process that lives on it at the time."""

    def __init__(self, home: Path) -> None:
        self.endpoint = Endpoint()
        self.home = home
        self.wall, self.mono = START, 1000.0
        self.store = Store.open(home)
        self.book = AccountBook(self.store, Vault.open(home))
        self.account = self.book.save("anthropic", "work", self.endpoint.credential(), "login")
        self.doubtful = False
        """Something may have been lost, so a login may be needed."""
        self.start()

    def start(self) -> None:
        async def heard() -> None:
            pass

        self.refresher = Refresher(
            self.book, self.store, FakeUpstream(otherwise=self.endpoint), self.home, _spawn, heard,
            wall=lambda: self.wall, clock=lambda: self.mono, rng=random.Random(1),
        )  # fmt: skip

    def stored(self) -> StoredAccount:
        found = self.book.find("anthropic/work")
        assert found is not None
        return found

    async def renew(self) -> object:
        return await self.refresher.renew(self.stored())

    async def act(self, action: str) -> None:
        kind, _, detail = action.partition(" ")
        match kind:
            case "renew":
                self.endpoint.fate = detail
                self.doubtful = self.doubtful or detail in ("cut before", "cut after", "garbage", "invalid")
                await self.renew()
                self.endpoint.fate = "ok"
            case "kill":
                self.doubtful = True
                await self.killed(int(detail))
            case "restart":
                self.start()
            case "login":
                self.book.save("anthropic", "work", self.endpoint.login(), "login")
                self.doubtful = False
            case "jump":
                self.wall += float(detail)
            case "wait":
                self.wall, self.mono = self.wall + float(detail), self.mono + float(detail)
            case "tick":
                self.refresher.look_after([self.stored()])
                await self.refresher.finish(5.0)

    async def killed(self, at: int) -> None:
        """Die at the N-th write: odd before it, even after it."""
        real, writes = self.store.transact, 0

        def transact[T](work: Callable[[Any], T]) -> T:
            nonlocal writes
            writes += 1
            if writes == (at + 1) // 2 and at % 2:
                raise KilledError
            result = real(work)
            if writes == (at + 1) // 2:
                raise KilledError
            return result

        self.store.transact = transact  # type: ignore[method-assign]
        try:
            await self.renew()
        except KilledError:
            pass
        finally:
            self.store.transact = real  # type: ignore[method-assign]
        self.start()


def _spawn(coro: Any, name: str) -> asyncio.Task[Any]:
    task = asyncio.ensure_future(coro)
    task.add_done_callback(lambda t: t.cancelled() or t.exception())
    return task


ACTIONS = st.one_of(
    st.sampled_from(["ok", "error", "busy", "unreachable", "cut before", "cut after", "garbage", "invalid"]).map(
        "renew {}".format
    ),
    st.integers(1, 6).map("kill {}".format),
    st.sampled_from(["restart", "login", "tick"]),
    st.sampled_from([-86400, -60, 60, 86400, 86400 * 30]).map("jump {}".format),
    st.sampled_from([1, 61, 700, 4000]).map("wait {}".format),
)


@given(st.lists(ACTIONS, min_size=1, max_size=12))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens(monkeypatch: pytest.MonkeyPatch, actions: list[str]) -> None:
    monkeypatch.setenv("BALANCER_VAULT", "file")
    monkeypatch.setattr(keeper, "PAUSES", (0.0,))
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_lived(Path(folder) / "home", actions))


async def _lived(home: Path, actions: list[str]) -> None:
    life = Life(home)
    try:
        for action in actions:
            before = life.endpoint.sent
            await life.act(action)
            assert life.endpoint.reuses == 0, f"{action}: a used token was sent"
            assert life.endpoint.sent <= before + 1, f"{action}: more than one refresh"
        # In the end: all is well again, or a person is told to log in, and that only with a reason.
        await life.act("wait 4000")
        done = await life.renew()
        assert isinstance(done, Fresh | NeedsLogin)
        if not life.doubtful:
            assert isinstance(done, Fresh)
        if isinstance(done, Fresh):
            credential = life.stored().credential
            assert credential is not None
            assert credential.refresh == Secret(life.endpoint.current), "the newest pair is the stored one"
        await life.act("login")
        assert isinstance(await life.renew(), Fresh), "a new login always helps"
    finally:
        life.store.close()


async def test_a_wall_clock_that_jumps_makes_no_storm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred jumps of a day and more in ten minutes: a refresh or two, not a hundred."""
    monkeypatch.setenv("BALANCER_VAULT", "file")
    life = Life(tmp_path / "home")
    random_jumps = random.Random(7)
    for _ in range(100):
        await life.act(f"jump {random_jumps.choice([-86400, 86400, 172800])}")
        await life.act("wait 6")
        await life.act("tick")
    assert 1 <= life.endpoint.sent <= 3
    assert life.endpoint.reuses == 0
    life.store.close()
