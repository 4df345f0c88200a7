"""The pace of polls: when, how often, what is waited for, what is never asked twice at once."""

import asyncio
import itertools
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from poll_answers import account, told

from mitm_balancer.secrets import Secret
from mitm_balancer.usage.poller import AT_ONCE, LONGEST_PACE, SETTLED_PACE, START_SPREAD, Poller, Result
from mitm_balancer.usage.polls.model import Answer, AskError, Question, Subject

EVERY = 300.0
CODEX = account("codex")
OAT = account("anthropic", "sk-ant-oat01-canary")


class World:
    """A clock that only moves when told, and a provider that answers as told."""

    def __init__(self, *subjects: Subject, every: float = EVERY) -> None:
        self.now = 1000.0
        self.shift = 1_790_000_000.0
        self.answer: Callable[[Question], Answer] = lambda _: told({"plan_type": "pro"})
        self.asked: list[Question] = []
        self.results: list[Result] = []
        self.heard: dict[str, float] = {}
        self.ended: set[str] = set()
        self.gate: asyncio.Event | None = None
        self.tasks: list[asyncio.Task[None]] = []
        self.poller = Poller(
            self._ask,
            self.results.append,
            heard=self.heard.get,
            ended=lambda name: name in self.ended,
            spawn=self._spawn,
            rng=random.Random(1),
            wall=lambda: self.now + self.shift,
            monotonic=lambda: self.now,
        )
        self.poller.configure(subjects, every)

    async def _ask(self, question: Question) -> Answer:
        self.asked.append(question)
        if self.gate is not None:
            await self.gate.wait()
        return self.answer(question)

    def _spawn(self, coro: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        assert "canary" not in name
        task = asyncio.ensure_future(coro)
        self.tasks.append(task)
        return task

    async def settle(self) -> None:
        while any(not task.done() for task in self.tasks):
            await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def run(self, seconds: float, step: float = 10.0) -> list[float]:
        """Let time pass; the moments (from now on) at which something was asked."""
        begun, moments = self.now, []
        while self.now < begun + seconds:
            before = len(self.asked)
            self.poller.tick()
            await self.settle()
            moments += [self.now - begun] * (len(self.asked) - before)
            self.now += step
        return moments


async def test_it_begins_soon_and_goes_on_at_the_pace() -> None:
    world = World(CODEX)
    first, *others = await world.run(10 * EVERY, 1.0)
    assert first <= START_SPREAD
    gaps = [after - before for before, after in itertools.pairwise([first, *others])]
    assert 8 <= len(gaps) <= 10
    assert all(0.9 * EVERY <= gap <= 1.1 * EVERY + 1 for gap in gaps)
    assert len(set(gaps)) > 3, "with jitter"
    assert [result.finding.plan for result in world.results] == ["ChatGPT Pro"] * len(world.asked)


async def test_a_clock_that_jumps_changes_no_pace() -> None:
    world = World(CODEX)
    await world.run(20)
    world.shift += 86_400
    assert await world.run(200) == []
    world.shift -= 2 * 86_400
    assert await world.run(60) == []


async def test_zero_means_only_when_wished_for() -> None:
    world = World(CODEX, every=0.0)
    assert await world.run(2000) == []
    assert await world.poller.refresh([CODEX.name]) == {CODEX.name: ""}
    assert len(world.asked) == 1


async def test_failures_are_asked_less_and_less_often() -> None:
    world = World(CODEX)
    world.answer = lambda _: told({}, 503)
    moments = await world.run(6 * 3600)
    gaps = [after - before for before, after in itertools.pairwise(moments)]
    assert gaps[0] == pytest.approx(EVERY, rel=0.15)
    assert gaps[1] == pytest.approx(2 * EVERY, rel=0.15)
    assert gaps[-1] == pytest.approx(LONGEST_PACE, rel=0.15)
    world.answer = lambda _: told({"plan_type": "pro"})
    moments = await world.run(3 * 3600)
    assert moments[2] - moments[1] == pytest.approx(EVERY, rel=0.15), "as before, once it is told"


async def test_the_providers_wait_is_kept_even_against_wishes() -> None:
    world = World(OAT)
    world.answer = lambda _: told({}, 429, retry_after="2895")
    assert len(await world.run(2800)) == 1
    outcome = await world.poller.refresh([OAT.name])
    assert "again in" in outcome[OAT.name]
    assert len(world.asked) == 1
    (result,) = world.results
    assert result.next_at - result.at == pytest.approx(2895)
    world.now += 110
    assert await world.poller.refresh([OAT.name]) == {OAT.name: ""}
    assert len(world.asked) == 2


async def test_anthropic_is_not_asked_while_its_headers_speak() -> None:
    world = World(OAT)
    world.heard[OAT.name] = 5.0
    assert await world.run(600) == []
    world.heard[OAT.name] = 10_000.0
    assert len(await world.run(1800)) == 2, "and then every quarter of an hour at the most"
    world = World(CODEX)
    world.heard[CODEX.name] = 5.0
    assert len(await world.run(100)) == 1, "others tell more than their headers do"


async def test_what_has_no_numbers_is_asked_once_a_day_or_with_another_credential() -> None:
    world = World(CODEX)
    world.answer = lambda _: told({}, 403)
    assert len(await world.run(SETTLED_PACE * 0.85, 600)) == 1
    world.poller.configure([account("codex", "another-credential")], EVERY)
    assert len(await world.run(100)) == 1


async def test_a_renewed_token_of_an_account_that_works_changes_nothing() -> None:
    world = World(CODEX)
    await world.run(20)
    world.poller.configure([account("codex", "renewed")], EVERY)
    assert await world.run(200) == []


async def test_a_token_that_has_ended_is_not_sent() -> None:
    world = World(CODEX)
    world.ended.add(CODEX.name)
    assert await world.run(1000) == []
    assert "being renewed" in (await world.poller.refresh([CODEX.name]))[CODEX.name]
    world.ended.clear()
    assert len(await world.run(20)) == 1


async def test_one_at_a_time_per_account_and_few_in_all() -> None:
    subjects = [Subject(f"codex/{n}", "codex", "oauth", Secret(f"s{n}")) for n in range(AT_ONCE + 3)]
    world = World(*subjects)
    world.gate = asyncio.Event()
    world.now += START_SPREAD
    for _ in range(5):
        world.poller.tick()
        await asyncio.sleep(0)
    waiting = asyncio.ensure_future(world.poller.refresh([subjects[0].name, subjects[0].name]))
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(world.asked) == AT_ONCE
    world.gate.set()
    assert await waiting == {subjects[0].name: ""}
    await world.settle()
    assert len(world.asked) == len(subjects)


async def test_an_account_that_is_gone_is_not_asked() -> None:
    world = World(CODEX)
    world.poller.configure([], EVERY)
    assert await world.run(1000) == []
    world.poller.configure([CODEX], EVERY)
    world.gate = asyncio.Event()
    asked = asyncio.ensure_future(world.poller.refresh([CODEX.name]))
    await asyncio.sleep(0)
    world.poller.configure([], EVERY)
    world.gate.set()
    await asked
    assert not world.results, "what is told after it has gone is nobody's"
    assert "disabled" in (await world.poller.refresh([CODEX.name]))[CODEX.name]
    groq = account("groq")
    world.poller.configure([groq], EVERY)
    assert await world.run(1000) == []
    assert "No usage service registered for groq" in (await world.poller.refresh([groq.name]))[groq.name]


async def test_a_gateway_is_asked_only_when_wished_for() -> None:
    corp = account("codex", base="https://gateway.example")
    world = World(corp)
    assert await world.run(1000) == []
    assert await world.poller.refresh([corp.name]) == {corp.name: ""}
    assert world.results[0].wished


async def test_what_earlier_processes_did_counts() -> None:
    world = World(CODEX)
    wall = world.now + world.shift
    world.poller.restore({CODEX.name: (wall - 100, wall - 90, True), "gone/x": (wall, wall, True)})
    (moment,) = await world.run(EVERY)
    assert moment == pytest.approx(EVERY - 100, abs=10)

    world = World(OAT)
    world.poller.restore({OAT.name: (wall - 100, wall + 1200, False)})
    assert await world.run(1190) == [], "a wait that was asked for outlasts a restart"
    assert len(await world.run(100)) == 1

    world = World(CODEX)
    world.poller.restore({CODEX.name: (wall + 5 * 86_400, 0.0, True)})
    assert len(await world.run(50)) == 1, "a time in the future is a clock that was wrong"


async def test_no_answer_is_told_and_does_not_stop_it(caplog: pytest.LogCaptureFixture) -> None:
    world = World(CODEX)

    def broken(_: Question) -> Answer:
        raise AskError("Connection refused")

    world.answer = broken
    await world.run(20)
    (result,) = world.results
    assert (result.finding.message, result.error) == (
        "codex usage could not be asked for: Connection refused",
        "Connection refused",
    )

    def worse(_: Question) -> Answer:
        raise ZeroDivisionError("oh")

    world.answer = worse
    await world.run(EVERY * 1.2)
    assert world.results[-1].error == "ZeroDivisionError: oh"
    assert "the usage poll of codex/work failed" in caplog.text


async def test_silence_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mitm_balancer.usage.poller.TIMEOUT", 0.01)
    world = World(CODEX)
    world.gate = asyncio.Event()
    await world.poller.refresh([CODEX.name])
    (result,) = world.results
    assert result.error == "no answer within 0.01 s"
