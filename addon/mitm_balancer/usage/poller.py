"""When which account is asked what is left: paced, with jitter and backoff, one question series per account at a time.

Knows neither network nor store: `ask` sends, `tell` keeps. Times are seconds; `monotonic` paces, so that a wall clock
that jumps causes no storm, and `wall` is what is told.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mitm_balancer.usage.polls.model import Ask, AskError, Finding, Poll, Subject, run, unavailable
from mitm_balancer.usage.polls.registry import poll_of, reason

logger = logging.getLogger(__name__)

START_SPREAD = 3.0
"""Seconds over which the first polls after a start are spread."""

JITTER = 0.1
"""Share by which a pace varies: several balancers must not ask in step."""

TIMEOUT = 20.0
"""Seconds for all questions about one account."""

AT_ONCE = 4
"""Accounts asked at the same time; the others follow."""

LONGEST_PACE = 3600.0
"""Failures double the pace up to here."""

SETTLED_PACE = 86_400.0
"""What a credential has no numbers for, it will not have in five minutes either."""

LONGEST_WAIT = 86_400.0
"""Of a provider's word about when to come back."""


@dataclass(frozen=True, slots=True)
class Result:
    """One account was asked."""

    subject: Subject
    finding: Finding
    at: float
    """Unix seconds."""
    next_at: float
    """Unix seconds: not to be asked before, on nobody's wish."""
    wished: bool = False
    """Somebody is waiting for it."""
    error: str = ""
    """Why nothing was answered. May hold what a library says; the keeper redacts it."""


@dataclass(slots=True)
class _Pace:
    """Of one account; monotonic seconds."""

    due: float
    earliest: float = 0.0
    fails: int = 0
    fingerprint: str = ""


class Poller:
    """Not for several threads."""

    def __init__(
        self,
        ask: Ask,
        tell: Callable[[Result], None],
        *,
        heard: Callable[[str], float | None] = lambda _: None,
        ended: Callable[[str], bool] = lambda _: False,
        spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]],
        rng: random.Random,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`heard` is the age in seconds of the newest limit header of an account; `ended`: its token has, so that it
        makes no sense to ask before that is renewed."""
        self._ask, self._tell, self._heard, self._ended, self._spawn = ask, tell, heard, ended, spawn
        self._rng, self._wall, self._monotonic = rng, wall, monotonic
        self._subjects: dict[str, Subject] = {}
        self._paces: dict[str, _Pace] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._places = asyncio.Semaphore(AT_ONCE)
        self.every = 0.0
        """Seconds between two paced polls of an account; 0: only on somebody's wish."""

    def configure(self, subjects: Iterable[Subject], every: float) -> None:
        """The accounts that may be asked, and how often. What is known of their pace stays."""
        self._subjects = {subject.name: subject for subject in subjects}
        self._paces = {name: pace for name, pace in self._paces.items() if name in self._subjects}
        self.every = every
        now = self._monotonic()
        for name, subject in self._subjects.items():
            fingerprint = subject.secret.fingerprint()
            pace = self._paces.setdefault(name, _Pace(now + self._rng.uniform(0, START_SPREAD)))
            if pace.fingerprint and pace.fingerprint != fingerprint and pace.fails:
                pace.due = min(pace.due, max(now, pace.earliest))  # this credential may be told more
                pace.fails = 0
            pace.fingerprint = fingerprint

    def restore(self, fetched: Mapping[str, tuple[float, float, bool]]) -> None:
        """What earlier processes did: account -> (asked at, not before, whether it was told), in unix seconds."""
        now, wall = self._monotonic(), self._wall()
        for name, (at, next_at, told) in fetched.items():
            pace, subject = self._paces.get(name), self._subjects.get(name)
            poll = poll_of(subject.provider) if subject is not None else None
            if pace is None or poll is None:
                continue
            pace.earliest = now + min(max(0.0, next_at - wall), LONGEST_WAIT)
            fresh = at + self._pace_of(poll) - wall if told and at <= wall else 0.0
            pace.due = max(pace.due, pace.earliest, now + min(fresh, LONGEST_PACE))

    def tick(self) -> None:
        """Start what is due. Call it often: it costs a look per account."""
        if not self.every:
            return
        now = self._monotonic()
        for name, subject in self._subjects.items():
            pace, poll = self._paces[name], poll_of(subject.provider)
            if poll is None or not subject.is_paced or pace.due > now or name in self._running:
                continue
            age = self._heard(name) if poll.quiet else None
            if age is not None and age < poll.quiet:
                pace.due = now + poll.quiet - age
                continue
            if self._ended(name):
                continue
            self._start(subject, poll, wished=False)

    async def refresh(self, names: Iterable[str]) -> dict[str, str]:
        """Ask about these accounts now, and wait until they are done. Gives why an account was not asked, or ""."""
        outcome, waiting = {}, []
        for name in names:
            outcome[name] = self._why_not(name)
            if not outcome[name]:
                subject = self._subjects[name]
                poll = poll_of(subject.provider)
                assert poll is not None
                waiting.append(self._running.get(name) or self._start(subject, poll, wished=True))
        if waiting:
            await asyncio.wait(waiting)
        return outcome

    def _why_not(self, name: str) -> str:
        subject = self._subjects.get(name)
        if subject is None:
            return "it is disabled, or has no credential to ask with"
        if poll_of(subject.provider) is None:
            return reason(subject.provider)
        if self._ended(name):
            return "its access token has ended, and is being renewed"
        left = self._paces[name].earliest - self._monotonic()
        if left > 0 and name not in self._running:
            return f"it was asked just now, or its provider said wait: again in {left:.0f} s"
        return ""

    def _start(self, subject: Subject, poll: Poll, *, wished: bool) -> asyncio.Task[None]:
        task = self._spawn(self._one(subject, poll, wished=wished), f"usage poll of {subject.name}")
        self._running[subject.name] = task
        task.add_done_callback(lambda _: self._running.pop(subject.name, None))
        return task

    async def _one(self, subject: Subject, poll: Poll, *, wished: bool) -> None:
        async with self._places:
            at, error = self._wall(), ""
            what = f"{subject.provider} usage could not be asked for"
            try:
                async with asyncio.timeout(TIMEOUT):
                    finding = await run(poll.asking(subject, at), self._ask)
            except AskError as e:
                finding, error = unavailable(f"{what}: {e}"), str(e)
            except TimeoutError:
                error = f"no answer within {TIMEOUT:g} s"
                finding = unavailable(f"{what}: {error}")
            except Exception as e:  # a poll of ours that fails must cost a number, not the proxy
                logger.exception("mitm-balancer: the usage poll of %s failed", subject.name)
                error = f"{type(e).__name__}: {e}"
                finding = unavailable(f"{what}: an error of the balancer, see its log")
        earliest = self._next(subject.name, poll, finding)
        if subject.name not in self._subjects:
            return  # removed or renamed meanwhile: a later account of that name must not inherit it
        self._tell(Result(subject, finding, at, self._wall() + earliest, wished, error))

    def _next(self, name: str, poll: Poll, finding: Finding) -> float:
        """Set the account's pace; seconds for which not even a wish asks again."""
        told = finding.confidence == "exact"
        pace = self._paces.get(name)
        fails = 0 if told or pace is None else pace.fails + 1
        wait = min(finding.wait or 0.0, LONGEST_WAIT)
        earliest = max(poll.on_demand, wait)
        rest = self._pace_of(poll)
        if finding.settled:
            rest = max(rest, SETTLED_PACE)
        elif fails:
            rest = max(rest, min(rest * 2.0 ** min(fails - 1, 10), LONGEST_PACE))
        rest = max(rest * self._rng.uniform(1 - JITTER, 1 + JITTER), wait * self._rng.uniform(1, 1 + JITTER))
        if pace is not None:
            now = self._monotonic()
            pace.fails, pace.earliest, pace.due = fails, now + earliest, now + rest
        return earliest

    def _pace_of(self, poll: Poll) -> float:
        return max(self.every, poll.every)
