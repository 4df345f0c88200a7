"""What a move costs a session, and when it is worth it."""

from __future__ import annotations

import random

import pytest
from dispatch_world import OK, START, TRANSIENT, Scope, limited
from seated_world import SeatedWorld
from test_evidence import Window

from mitm_balancer.core.evidence import Evidence
from mitm_balancer.core.health import Health
from mitm_balancer.core.priority import Circumstances, Priority
from mitm_balancer.core.strategies import BY_NAME, Known
from mitm_balancer.core.switching import CACHE_LIFE, LEAVE_WORTH, MODELS_KEPT, Caches, Reason, Switch, worth_it
from mitm_balancer.core.target import TargetInfo


class Prices:
    """A session's, and how often somebody looked into its request."""

    def __init__(self, tokens: int, boundary: bool = True) -> None:
        self.tokens, self.boundary, self.looks = tokens, boundary, 0

    def cold_tokens(self, account: str, now: float) -> int:
        return self.tokens

    def between_turns(self) -> bool:
        self.looks += 1
        return self.boundary


@pytest.mark.parametrize(
    ("worth", "tokens", "boundary", "moves"),
    [
        (100, 100, True, True),
        (100, 101, True, False),
        (100, 0, False, False),
        (0, 0, True, False),
        (None, 0, True, False),
    ],
)
def test_a_move_is_paid_by_its_reason(worth: int | None, tokens: int, boundary: bool, moves: bool) -> None:
    """Up to what it is worth, and between two turns only."""
    reason = None if worth is None else Reason("why", worth)
    assert worth_it(reason, Prices(tokens, boundary), "a", START) is moves


def test_the_body_is_read_last() -> None:
    """Only when all else says that it moves."""
    prices = Prices(101)
    assert not worth_it(Reason("why", 100), prices, "a", START)
    assert prices.looks == 0


def test_a_cache_is_warm_for_its_life_and_where_it_is() -> None:
    """From its last use on."""
    caches = Caches()
    caches.used("a", "m", 1000, CACHE_LIFE, START)
    assert caches.warm("a", START + CACHE_LIFE - 1) == 1000
    assert caches.warm("a", START + CACHE_LIFE) == 0
    assert caches.warm("b", START) == 0
    caches.used("b", "m", 1100, CACHE_LIFE, START)
    assert (caches.warm("a", START), caches.warm("b", START)) == (0, 1100)


def test_small_questions_in_between_do_not_make_a_long_prompt_cheap() -> None:
    """Child agents share the name of their parent; a conversation that was compacted is forgotten soon."""
    caches = Caches()
    caches.used("a", "m", 100_000, CACHE_LIFE, START)
    caches.used("a", "m", 2000, CACHE_LIFE, START)
    assert caches.warm("a", START) == 80_000
    for _ in range(20):
        caches.used("a", "m", 2000, CACHE_LIFE, START)
    assert caches.warm("a", START) == 2000


def test_each_model_has_a_cache_and_few_are_kept() -> None:
    """All of them are lost by a move."""
    caches = Caches()
    for n in range(MODELS_KEPT + 3):
        caches.used("a", f"m{n}", 10, CACHE_LIFE, START)
    assert caches.warm("a", START) == 10 * MODELS_KEPT


class Leaving(SeatedWorld):
    """Account a is at 96 % of its 5-hour window."""

    def nearly(self, name: str = "a", used: float = 96, window: str = "5h") -> None:
        self.priority.around.known.evidence.stated(name, [Window(window, used, 3600)], self.now)

    def turn(self, session: str, *, begins: bool = True) -> str:
        """A request of that session; who served it."""
        dispatch = self.dispatch(session)
        if dispatch.tie is not None:
            dispatch.tie.begins_turn = lambda: begins
        story = self.drive(dispatch, {name: [OK] for name in self.names})
        self.switch = dispatch.switch
        return story.tried

    def cached(self, session: str, tokens: int, account: str = "a") -> None:
        self.bindings.used(session, account, "m", tokens, CACHE_LIFE, self.now)


def leaving(strategy: str = "priority") -> Leaving:
    world = Leaving("abc", strategy)
    world.leave_at(95)
    return world


@pytest.mark.parametrize("strategy", BY_NAME)
def test_new_sessions_leave_it_before_it_is_empty(strategy: str) -> None:
    """Whatever the strategy. When nobody else is ready it serves them, and again after its reset."""
    world = leaving(strategy)
    assert world.turn("first") == "a"
    world.nearly()
    assert {world.turn(f"s{n}") for n in range(6)} <= {"b", "c"}
    for name in "bc":
        world.health.record(name, "m", limited(60), world.now)
    assert world.turn("alone") == "a"
    world.now += 3601
    assert world.turn("first") == "a"


@pytest.mark.parametrize("strategy", BY_NAME)
def test_the_rest_of_a_quota_goes_before_an_account_of_a_higher_number(strategy: str) -> None:
    """Which may cost money. `score` only weighs the numbers."""
    evidence = Evidence()
    evidence.stated("a", [Window("5h", 96, 3600)], START)
    targets = [TargetInfo("a", "anthropic"), TargetInfo("b", "anthropic", priority=1)]
    around = Circumstances(Known(evidence=evidence, leave_at=95))
    chosen = Priority(targets, strategy, around).select("m", Health(random.Random(1)), START).chosen
    assert chosen is not None and chosen.name == ("b" if strategy == "score" else "a")


def test_a_session_stays_there_until_it_is_cheap_to_leave() -> None:
    """In the middle of a turn never, between turns when the prompt is short; the trace tells it."""
    world = leaving()
    world.turn("s")
    world.cached("s", LEAVE_WORTH + 1)
    world.nearly()
    assert world.turn("s") == "a"
    world.cached("s", LEAVE_WORTH // 4)  # the larger one fades, it is not forgotten at once
    assert world.turn("s", begins=False) == "a"
    assert world.turn("s") == "b"
    assert world.switch == Switch("a", "b", "96 % used, kept for its sessions", 24_000)
    assert world.turn("s") == "b", "and stays where it went"
    assert world.switch is None


def test_a_cold_cache_costs_nothing() -> None:
    """Whatever lay there five minutes ago."""
    world = leaving()
    world.turn("s")
    world.cached("s", 500_000)
    world.nearly()
    assert world.turn("s") == "a"
    world.now += CACHE_LIFE
    assert world.turn("s") == "b"
    assert world.switch is not None
    assert world.switch.cold_tokens == 0


def test_one_reserve_is_not_left_for_another() -> None:
    """That would be no gain."""
    world = leaving()
    world.turn("s")
    for name in "abc":
        world.nearly(name)
    assert world.turn("s") == "a"


def test_a_forced_switch_tells_what_it_costs() -> None:
    """Whoever cannot serve is left at any price: that is what the trace says."""
    world = leaving()
    world.turn("s")
    world.cached("s", 120_000)
    dispatch = world.dispatch("s")
    world.drive(dispatch, {"a": [limited(1000)], "b": [OK]})
    assert dispatch.switch == Switch("a", "b", "rate_limit_error", 120_000)
    assert dispatch.switch.as_record() == {
        "from": "a", "to": "b", "why": "rate_limit_error", "cold_tokens": 120_000,
    }  # fmt: skip
    world.health.record("b", "m", limited(500), world.now)
    assert world.turn("s") == "c"
    assert world.switch == Switch("b", "c", "rate_limit_error", 0)


def test_headroom_moves_idle_sessions_for_a_real_advantage_only() -> None:
    """Fifteen points at least, and a price that they are worth: a thousand tokens a point."""
    world = leaving("headroom")
    world.nearly("a", 50)
    world.nearly("b", 60)
    assert world.turn("s") == "a"
    world.cached("s", 30_000)
    world.nearly("a", 74)
    assert world.turn("s") == "a", "14 points"
    world.nearly("a", 85)
    assert world.turn("s") == "a", "25 points, 30,000 tokens"
    world.nearly("a", 91)
    assert world.turn("s", begins=False) == "a"
    assert world.turn("s") == "b"


@pytest.mark.parametrize("strategy", ["priority", "drain", "round-robin", "weighted", "least-loaded"])
def test_the_others_move_no_session_that_can_stay(strategy: str) -> None:
    """However cheap that were."""
    world = leaving(strategy)
    home = world.turn("s")
    world.now += 4000
    assert {world.turn("s") for _ in range(5)} == {home}


def test_one_model_out_leaves_the_others_where_they_are() -> None:
    """The account in use is another one for that model only, and again the same when it is back."""
    world = SeatedWorld("abc")
    priority = world.priority
    world.run("s1", {"a": [OK]})
    world.health.record("a", "big", limited(100, Scope.MODEL), world.now)
    request = world.start("s2", "big")
    assert request.name == "b"
    request.dispatch.ended(OK, world.now)
    assert (priority.active, priority.active_for("big"), priority.active_for("m")) == ("a", "b", "a")
    assert priority.in_use == {"": "a", "big": "b"}
    world.now += 200
    world.health.record("b", "big", limited(100), world.now)
    request = world.start("s3", "big")
    request.dispatch.ended(OK, world.now)
    assert (request.name, priority.in_use) == ("a", {"": "a"})


def test_one_failure_does_not_move_all_new_sessions() -> None:
    """The request and its session go elsewhere; the account is asked again by the next one."""
    world = SeatedWorld("abc")
    world.run("s1", {"a": [OK]})
    assert world.run("s2", {"a": [TRANSIENT], "b": [OK]}).tried == "ab"
    assert world.priority.active == "a"
    assert world.run("s3", {"a": [OK]}).tried == "a"


def test_the_account_in_use_survives_a_restart() -> None:
    """Also the exceptions; one that is gone is forgotten."""
    world = SeatedWorld("abc", "drain")
    world.priority.restore({"": "b", "big": "c", "small": "gone"})
    assert world.priority.in_use == {"": "b", "big": "c"}
    assert world.start("s").name == "b"
