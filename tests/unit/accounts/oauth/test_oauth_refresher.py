"""One login after another in one process: who refreshes, what is stored, and what is never done twice."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import sqlite3
import time

import pytest
from refresh_world import World, refresh_of, secret_of

from mitm_balancer.accounts.oauth import keeper, services
from mitm_balancer.accounts.oauth.outcome import Fresh, NeedsLogin, NotNow
from mitm_balancer.accounts.oauth.standing import standing
from mitm_balancer.testing import FakeProvider
from mitm_balancer.testing.tokens import Mishap
from mitm_balancer.upstream.ask import ask


async def test_a_refresh_stores_the_new_pair_before_it_is_told(world: World) -> None:
    account = world.add()
    done = await world.renew(account)
    assert isinstance(done, Fresh)
    assert done.ours
    now = world.tokens.logins["work"].given
    assert (secret_of(done.account), refresh_of(done.account)) == (now.access, now.refresh)
    assert (secret_of(world.stored()), refresh_of(world.stored())) == (now.access, now.refresh)
    assert world.stored().generation == account.generation + 1
    assert world.told == 1
    client = services.SERVICES["anthropic"].client_id
    sent = {"grant_type": "refresh_token", "refresh_token": refresh_of(account), "client_id": client}
    assert world.tokens.asked == [sent]
    assert "token_refreshed" in world.events()


async def test_a_refresh_goes_over_a_connection_of_its_own(world: World, fake: FakeProvider) -> None:
    account = world.add()
    for _ in range(2):
        await ask(world.pool, "GET", f"{fake.url}/v1/models")
    await world.renew(account)
    first, second, refresh = (record.connection_id for record in fake.ledger)
    assert first == second != refresh


async def test_all_who_wait_share_one_refresh(world: World) -> None:
    account = world.add()
    done = await asyncio.gather(*(world.renew(account) for _ in range(20)))
    assert len({id(d) for d in done}) == 1, "one answer for all of them"
    assert {secret_of(d.account) for d in done if isinstance(d, Fresh)} == {world.tokens.logins["work"].given.access}
    assert world.tokens.refreshes == ["work"]


async def test_who_comes_late_with_an_old_token_gets_the_new_one_without_a_refresh(world: World) -> None:
    account = world.add()
    await world.renew(account)
    done = await world.renew(account)
    assert isinstance(done, Fresh)
    assert not done.ours
    assert world.tokens.refreshes == ["work"]


async def test_a_new_token_that_is_refused_at_once_is_not_renewed_again(world: World) -> None:
    done = await world.renew(world.add())
    assert isinstance(done, Fresh)
    assert await world.renew(done.account) == NotNow("it was renewed a moment ago")
    world.passed = 61.0
    assert isinstance(await world.renew(done.account), Fresh)
    assert world.tokens.refreshes == ["work"] * 2


async def test_cancelling_a_wait_leaves_the_refresh_alone(world: World) -> None:
    account = world.add()
    world.tokens.play(Mishap.SLOW)
    waiting = asyncio.ensure_future(world.renew(account))
    await world.asked()
    waiting.cancel()
    await world.refresher.finish(5.0)
    assert refresh_of(world.stored()) == world.tokens.logins["work"].given.refresh


@pytest.mark.parametrize("mishap", [Mishap.ERROR, Mishap.BUSY])
async def test_an_answer_that_says_later_is_obeyed_and_harms_nothing(world: World, mishap: Mishap) -> None:
    account = world.add()
    world.tokens.play(mishap)
    done = await world.renew(account)
    assert isinstance(done, NotNow)
    assert done.wait == (7.0 if mishap is Mishap.BUSY else 5.0)
    again = await world.renew(account)
    assert isinstance(again, NotNow)
    assert len(world.tokens.asked) == 1, "nobody asks before the time"
    world.passed = done.wait
    assert isinstance(await world.renew(account), Fresh)
    assert world.tokens.reuses == 0


async def test_nobody_there_is_later(world: World, fake: FakeProvider) -> None:
    given = world.tokens.login("work")
    credential = dataclasses.replace(world.credential(given), extra={"token_url": "http://127.0.0.1:1/"})
    account = world.book.save("anthropic", "work", credential, "login")
    assert isinstance(await world.renew(account), NotNow)
    world.passed = 10.0
    done = await world.renew(account)
    assert isinstance(done, NotNow)
    assert "token_uses" not in done.reason
    assert done.wait == 10.0


@pytest.mark.parametrize("mishap", [Mishap.CUT_AFTER, Mishap.CUT_BEFORE, Mishap.GARBAGE])
async def test_a_lost_answer_ends_a_rotating_login_without_a_second_use(
    worlds: object, world: World, mishap: Mishap
) -> None:
    account = world.add()
    world.tokens.play(mishap)
    done = await world.renew(account)
    assert isinstance(done, NeedsLogin)
    assert done.cure == "balancer accounts login anthropic"
    assert "reauth_required" in world.events()
    world.passed = 3600.0
    assert await world.renew(account) == done
    assert len(world.tokens.asked) == 1
    assert world.tokens.reuses == 0
    assert world.told == 1, "it is told once"


async def test_the_next_process_does_not_use_the_lost_token_either(world: World, worlds: object) -> None:
    account = world.add()
    world.tokens.play(Mishap.CUT_AFTER)
    await world.renew(account)
    other = worlds()  # type: ignore[operator]
    other.tokens = world.tokens
    assert isinstance(await other.renew(other.stored()), NeedsLogin)
    assert len(world.tokens.asked) == 1


async def test_a_lost_answer_of_a_token_that_does_not_rotate_is_asked_again(
    worlds: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BALANCER_GOOGLE_CLIENT_SECRET", "not-a-secret")
    world = worlds(rotates=False)  # type: ignore[operator]
    account = world.add(provider="codeassist")
    world.tokens.play(Mishap.CUT_AFTER, Mishap.GARBAGE)
    assert isinstance(await world.renew(account), NotNow)
    world.passed = 5.0
    assert isinstance(await world.renew(account), NotNow)
    world.passed = 15.0
    done = await world.renew(account)
    assert isinstance(done, Fresh)
    assert refresh_of(done.account) == refresh_of(account)
    assert world.tokens.asked[-1]["client_secret"] == "not-a-secret"
    world.passed = 100.0
    assert isinstance(await world.renew(done.account), Fresh)


async def test_a_grace_window_allows_one_careful_second_use(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = dataclasses.replace(services.SERVICES["anthropic"], grace=60.0)
    monkeypatch.setitem(services.SERVICES, "anthropic", kind)
    account = world.add()
    world.tokens.play(Mishap.CUT_BEFORE, Mishap.CUT_BEFORE)
    assert isinstance(await world.renew(account), NotNow)
    world.passed = 10.0
    assert isinstance(await world.renew(account), NotNow)
    world.passed = 25.0
    assert isinstance(await world.renew(account), NeedsLogin)
    assert len(world.tokens.asked) == 2


async def test_a_dead_login_is_told_with_its_cure(world: World) -> None:
    account = world.add()
    world.tokens.play(Mishap.INVALID)
    assert await world.renew(account) == NeedsLogin("invalid_grant", "balancer accounts login anthropic")
    assert world.refresher.memory.over(account) is not None


async def test_what_the_store_alone_tells_of_a_login(world: World) -> None:
    """For commands without a proxy: nothing while the access token serves, and nothing of a refresh that is running."""
    account, now = world.add(), time.time()
    world.tokens.play(Mishap.SLOW, Mishap.INVALID)
    running = asyncio.ensure_future(world.renew(account))
    await world.asked()
    assert standing(world.store, account, now) == ""
    await running
    assert standing(world.store, world.stored(), now + 4000) == ""
    world.passed = 100.0
    await world.renew(world.stored())
    assert standing(world.store, world.stored(), now) == ""
    told = "needs a login: invalid_grant (balancer accounts login anthropic)"
    assert standing(world.store, world.stored(), now + 4000) == told


async def test_a_new_login_brings_it_back(world: World) -> None:
    account = world.add()
    world.tokens.play(Mishap.INVALID)
    await world.renew(account)
    new = world.book.save("anthropic", "work", world.credential(world.tokens.login("work")), "login")
    assert world.refresher.memory.over(new) is None
    assert isinstance(await world.renew(new), Fresh)


async def test_an_old_copy_of_a_login_is_never_sent(world: World) -> None:
    """The user imports the agent's file again; the token in it was used by us since."""
    account = world.add()
    await world.renew(account)
    assert account.credential is not None
    old = world.book.save("anthropic", "copy", account.credential, "import:claude")
    done = await world.renew(old)
    assert isinstance(done, NeedsLogin)
    assert "used before" in done.reason
    assert world.tokens.reuses == 0


async def test_a_login_changed_meanwhile_is_taken_and_ours_is_dropped(world: World) -> None:
    account = world.add()
    world.tokens.play(Mishap.SLOW)
    waiting = asyncio.ensure_future(world.renew(account))
    await world.asked()
    theirs = world.book.renew(account.name, world.credential(world.tokens.login("other")), generation=1)
    assert theirs is not None
    done = await waiting
    assert isinstance(done, Fresh)
    assert secret_of(done.account) == secret_of(theirs) == secret_of(world.stored())


async def test_a_rename_meanwhile_loses_nothing(world: World) -> None:
    account = world.add()
    world.tokens.play(Mishap.SLOW)
    waiting = asyncio.ensure_future(world.renew(account))
    await world.asked()
    world.book.rename(account.name, "renamed")
    assert isinstance(await waiting, Fresh)
    assert refresh_of(world.stored("anthropic/renamed")) == world.tokens.logins["work"].given.refresh


async def test_a_removed_account_is_gone(world: World) -> None:
    account = world.add()
    world.book.remove(account.name)
    assert isinstance(await world.renew(account), NotNow)
    assert world.tokens.asked == []


async def test_two_accounts_of_one_client_come_one_after_another(world: World) -> None:
    first, second = world.add("a"), world.add("b")
    world.tokens.play(Mishap.SLOW)
    both = asyncio.gather(world.renew(first), world.renew(second))
    await world.asked()
    await asyncio.sleep(0.2)
    assert len(world.tokens.asked) == 1
    assert all(isinstance(done, Fresh) for done in await both)


async def test_without_a_store_nothing_rotating_is_sent(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    account = world.add()
    world.impatient()
    blocker = sqlite3.connect(world.home / "balancer.sqlite", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    try:
        done = await world.renew(account)
    finally:
        blocker.execute("ROLLBACK")
        blocker.close()
    assert isinstance(done, NotNow)
    assert world.tokens.asked == []


async def test_a_pair_that_cannot_be_stored_serves_from_memory_until_it_can(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keeper, "PAUSES", (0.0,))
    monkeypatch.setattr(keeper, "SAVE_AGAIN", 0.1)
    account = world.add()
    world.impatient()
    world.tokens.play(Mishap.SLOW)
    waiting = asyncio.ensure_future(world.renew(account))
    await world.asked()
    blocker = sqlite3.connect(world.home / "balancer.sqlite", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    done = await waiting
    assert isinstance(done, Fresh)
    assert secret_of(done.account) == world.tokens.logins["work"].given.access
    assert "only in memory" in caplog.text
    assert secret_of(world.refresher.keeper.newest(account)) == secret_of(done.account)
    blocker.execute("ROLLBACK")
    blocker.close()
    async with asyncio.timeout(20):
        while refresh_of(world.stored()) != world.tokens.logins["work"].given.refresh:
            await asyncio.sleep(0.05)
    assert world.stored().generation == done.account.generation


async def test_no_credential_leaves_while_certificates_are_not_checked(world: World) -> None:
    world.refresher.allowed = lambda: False
    assert isinstance(await world.renew(world.add()), NotNow)
    assert world.tokens.asked == []


async def test_nothing_of_a_token_is_ever_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    account = world.add()
    for mishap in (Mishap.ERROR, Mishap.BUSY, Mishap.INVALID):
        world.tokens.play(mishap)
        await world.renew(account)
        world.passed += 700.0
    assert "CANARY" not in caplog.text
    data = b"".join(path.read_bytes() for path in world.home.rglob("*") if path.is_file())
    assert b"CANARY" not in data
