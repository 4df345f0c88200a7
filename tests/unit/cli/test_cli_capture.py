"""`balancer accounts capture`, `pending`, `accept`, `dismiss`."""

from __future__ import annotations

import json
import time
from contextlib import closing

import pytest

from mitm_balancer.accounts.model import Credential
from mitm_balancer.cli.main import main
from mitm_balancer.operations.capture_window import SETTING, until_of
from mitm_balancer.secrets import Secret
from mitm_balancer.store import Store
from unit.accounts.importing.clientfiles import ACCESS, REFRESH
from unit.cli.cli_accounts_world import World

LOGIN = Credential(
    "oauth", Secret(ACCESS), Secret(REFRESH), time.time() + 7200, {"email": "ann@example.com", "account_uuid": "u"}
)
KEY = Credential("api", Secret("gsk_CANARY-0123456789abcd"))


def setting(world: World) -> float:
    store = Store.open(world.home)
    try:
        return until_of(store.settings().get(SETTING))
    finally:
        store.close()


@pytest.fixture
def seen(world: World) -> World:
    world.home.mkdir(mode=0o700)
    world.books(lambda book: (book.capture("anthropic", LOGIN, "capture"), book.capture("groq", KEY, "capture")))
    return world


def ids(world: World) -> dict[str, str]:
    return {row["provider"]: row["id"] for row in json.loads(world.run("pending", "--json")[1])}


def test_the_window(world: World) -> None:
    code, out, _ = world.run("capture", "status")
    assert (code, out.splitlines()[0], world.home.exists()) == (0, "nothing is captured", False)
    code, out, _ = world.run("capture", "--minutes", "5")
    assert code == 0
    assert "no proxy runs" in out
    assert setting(world) == pytest.approx(time.time() + 300, abs=20)
    assert json.loads(world.run("capture", "status", "--json")[1])["on"] is True
    assert main(["status", "--json"]) == 0
    assert json.loads(world.capsys.readouterr().out)["capture_until"] == setting(world)
    assert main(["status"]) == 0
    assert "capture   on for 5 min" in world.capsys.readouterr().out
    world.run("capture", "--off")
    world.run("capture", "--off")
    assert main(["status", "--json"]) == 0
    assert json.loads(world.capsys.readouterr().out)["capture_until"] is None
    with closing(Store.open(world.home)) as store:
        assert [event.type for event in store.events()] == ["capture_started", "capture_ended"]
    assert setting(world) == 0.0
    assert json.loads(world.run("capture", "status", "--json")[1])["on"] is False


@pytest.mark.parametrize("minutes", ["0", "-1", "x", "5000", "nan"])
def test_minutes_that_are_none(world: World, minutes: str) -> None:
    assert world.run("capture", "--minutes", minutes)[0] == 2


def test_pending(seen: World) -> None:
    code, out, _ = seen.run("pending")
    assert code == 0
    assert "ann@example.com" in out
    assert "...abcd" in out
    assert "1 waits" not in out
    assert "2 wait for a decision" in seen.run("capture", "status")[1]


def test_nothing_pending(world: World) -> None:
    assert "nothing waits" in world.run("pending")[1]
    assert json.loads(world.run("pending", "--json")[1]) == []
    assert not world.home.exists()


def test_accepting_a_login_leaves_its_refresh_token_to_the_agent(seen: World) -> None:
    code, out, _ = seen.run("accept", ids(seen)["anthropic"])
    assert (code, seen.tokens("anthropic/ann")) == (0, (ACCESS, None))
    assert "access token only" in out
    assert list(ids(seen)) == ["groq"]


def test_accepting_it_whole(seen: World) -> None:
    assert seen.run("accept", ids(seen)["anthropic"], "--copy", "--alias", "Mine")[0] == 0
    assert seen.tokens("anthropic/mine") == (ACCESS, REFRESH)


def test_the_choice_is_asked_for(seen: World) -> None:
    assert seen.run("accept", ids(seen)["anthropic"], typed="c\n")[0] == 0
    assert seen.tokens("anthropic/ann") == (ACCESS, REFRESH)


def test_accepting_a_key(seen: World) -> None:
    assert seen.run("accept", ids(seen)["groq"], "--alias", "g", "--json")[0] == 0
    assert seen.tokens("groq/g")[1] is None


def test_an_alias_in_use_is_refused(seen: World) -> None:
    seen.run("accept", ids(seen)["groq"], "--alias", "g")
    seen.books(lambda book: book.capture("groq", Credential("api", Secret("gsk_CANARY-other")), "capture"))
    code, _, err = seen.run("accept", ids(seen)["groq"], "--alias", "G")
    assert (code, "Account already exists: groq/g" in err) == (1, True)
    assert list(ids(seen)) == ["anthropic", "groq"] or list(ids(seen)) == ["groq", "anthropic"]


def test_dismissing(seen: World) -> None:
    assert seen.run("dismiss", *ids(seen).values())[0] == 0
    assert ids(seen) == {}
    assert seen.books(lambda book: book.capture("groq", KEY, "capture")) is None


@pytest.mark.parametrize("verb", ["accept", "dismiss"])
def test_an_id_that_is_none(seen: World, verb: str) -> None:
    code, _, err = seen.run(verb, "p-unknown")
    assert (code, "nothing is pending under p-unknown" in err) == (1, True)
