"""The order of one pool's targets for one model, kept up to date by what has changed.

A target is in one of four rankings: `ready`, `reserve` (nearly used up: it keeps its sessions, new ones only come when
nobody of the same `priority` is ready), `suspended` (our own breaker holds it back, a guess) or `benched` (it cannot
serve). A change or the passing of time moves it; a decision looks at the heads.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Container, Iterator, Sequence

from mitm_balancer.core.changes import Changes
from mitm_balancer.core.health import Block
from mitm_balancer.core.ranking import Key, Ranking
from mitm_balancer.core.strategies import Strategy
from mitm_balancer.core.switching import LEAVE_WORTH, Reason

type Judge = Callable[[int, str, float], Block | None]
"""Why the target of that number cannot serve that model now."""


class Lane:
    """`numbers` gives the place of a name in the pool. `now` is monotonic seconds."""

    def __init__(
        self, model: str, strategy: Strategy, judge: Judge, numbers: dict[str, int], journals: Sequence[Changes]
    ) -> None:
        self.model = model
        self.strategy = strategy
        self._judge = judge
        self._numbers = numbers
        self._journals = [(journal, journal.position) for journal in journals]
        self.ready, self.reserve, self.suspended, self.benched = Ranking(), Ranking(), Ranking(), Ranking()
        self._blocks: dict[int, Block] = {}
        self._spared: dict[int, Block] = {}
        """Why those in `reserve` are there."""
        self._due: list[tuple[float, int]] = []
        self._due_at: dict[int, float] = {}
        self._fresh = False

    def refresh(self, now: float) -> None:
        """Take in what has changed and what time has ended."""
        changed = self._changed()
        if changed is None:
            for number in range(len(self._numbers)):
                self._place(number, now)
        else:
            for number in changed:
                self._place(number, now)
        while self._due and self._due[0][0] <= now:
            when, number = heapq.heappop(self._due)
            if self._due_at.get(number) == when:
                del self._due_at[number]
                self._place(number, now)

    def pick(self, active: int | None, without: Container[int]) -> tuple[int, bool] | None:
        """The target that serves next, and whether it is chosen because it is the active one."""
        ready, spared = self._pick(self.ready, active, without), self._pick(self.reserve, active, without)
        if ready is None or spared is None:
            return ready or spared
        # What stands behind in the operator's order may cost money: the rest of a quota goes first.
        return spared if self._stands_before(spared[0], ready[0]) else ready

    def _stands_before(self, one: int, other: int) -> bool:
        targets = self.strategy.targets
        return self.strategy.tiered and targets[one].priority < targets[other].priority

    def better(self, home: int, without: Container[int]) -> tuple[int, Reason] | None:
        """Who would serve a session of `home` better, and why; None: nobody, it is at its best there."""
        picked = self.pick(home, without)
        if picked is None or picked[0] == home:
            return None
        number, _ = picked
        if home in self.reserve and number in self.ready:
            return number, Reason(self._spared[home].reason, LEAVE_WORTH)
        for ranking in (self.ready, self.reserve):
            if home in ranking and number in ranking:
                worth = self.strategy.worth(ranking.key(home), ranking.key(number))
                return number, Reason(self.strategy.because, worth)
        return None

    def block(self, number: int) -> Block | None:
        """Why it cannot serve, as of the last refresh."""
        return self._blocks.get(number)

    def blocked(self, most: int, before: int | None = None) -> list[tuple[int, Block]]:
        """The first ones that cannot serve, in order; with `before`, only those ahead of that ready target."""
        limit = None
        rankings = [self.suspended, self.benched]
        if before is not None and before in self.ready:
            limit = self.ready.key(before)
            rankings.append(self.reserve)
        elif before is not None:
            limit = self.reserve.key(before)
        found: list[tuple[Key, int]] = []
        for ranking in rankings:
            found += _first(ranking.rows(), most, limit)
        found.sort()
        return [(number, self._blocks.get(number) or self._spared[number]) for _, number in found[:most]]

    def spared(self, number: int) -> Block | None:
        """Why it is in reserve."""
        return self._spared.get(number)

    def _pick(self, ranking: Ranking, active: int | None, without: Container[int]) -> tuple[int, bool] | None:
        start: Key = ()
        if active is not None and self.strategy.circular:
            start = (float(active),)
        best = next((row for row in ranking.rows(start) if row[1] not in without), None)
        if best is None:
            return None
        key, number = best
        if self.strategy.spreads or active is None or active in without or active not in ranking:
            return number, False
        if active == number or self.strategy.stays(ranking.key(active), key):
            return active, True
        return number, False

    def _changed(self) -> set[int] | None:
        """None: look at all of them."""
        changed: set[int] = set()
        all_of_them, self._fresh = not self._fresh, True
        for at, (journal, position) in enumerate(self._journals):
            if journal.position == position:
                continue
            names = journal.since(position)
            self._journals[at] = (journal, journal.position)
            if names is None:
                all_of_them = True
                continue
            for name in names:
                number = self._numbers.get(name)
                if number is not None:
                    changed.add(number)
                elif "/" not in name:
                    all_of_them = True  # a whole provider
        return None if all_of_them else changed

    def _place(self, number: int, now: float) -> None:
        block = self._judge(number, self.model, now)
        key, due = self.strategy.key(number, self.model, now)
        used, until = self.strategy.known.nearly_used_up(self.strategy.targets[number].name, self.model, now)
        due = min(due, until)
        self._blocks.pop(number, None)
        self._spared.pop(number, None)
        home = self.ready
        if block is not None:
            self._blocks[number] = block
            due = min(due, math.inf if block.until is None else block.until)
            home = self.suspended if block.breaker else self.benched
        elif used is not None:
            back = until if until < math.inf else None
            self._spared[number] = Block(f"{used:.0f} % used, kept for its sessions", back)
            home = self.reserve
        for ranking in (self.ready, self.reserve, self.suspended, self.benched):
            if ranking is not home:
                ranking.drop(number)
        home.put(number, key)
        self._wake(number, due, now)

    def _wake(self, number: int, due: float, now: float) -> None:
        if self._due_at.get(number) == due:
            return
        if not now < due < math.inf:  # what is due already changes by being noted, not by time
            self._due_at.pop(number, None)
            return
        self._due_at[number] = due
        heapq.heappush(self._due, (due, number))
        if len(self._due) > 64 + 2 * len(self._due_at):
            self._due = [(when, n) for n, when in self._due_at.items()]
            heapq.heapify(self._due)


def _first(rows: Iterator[tuple[Key, int]], most: int, limit: Key | None) -> list[tuple[Key, int]]:
    found: list[tuple[Key, int]] = []
    for row in rows:
        if len(found) >= most or (limit is not None and row[0] > limit):
            break
        found.append(row)
    return found
