"""One simulation: everything is drawn from the seed, lives for some days, and must then be well again."""

from __future__ import annotations

from collections import Counter
from random import Random

from mitm_balancer.core.dispatch import DispatchPolicy
from mitm_balancer.core.health import JITTER_MAX
from sim import promises
from sim.agents import agent
from sim.faults import Fault, forecast
from sim.loop import Loop, Steps, Task
from sim.machine import EPOCH, Disk, Machine
from sim.process import Crashed, End, HungUp, Process, Request
from sim.provider import SimProvider
from sim.quota import DAY, HOUR
from sim.report import Numbers, jain
from sim.scenarios import SCENARIOS, Scenario, draw_accounts, draw_habits, draw_policy
from sim.seen import Seen
from sim.voices import Anthropic, OpenAI
from sim.watch import Watch

MODELS = ("opus", "sonnet", "haiku")
JUMPS = (-90_000.0, -3700.0, -300.0, -30.0, 5.0, 90.0, 4000.0, 90_000.0)
"""Seconds by which somebody sets the wall clock."""

OFTEN = 20
"""Requests of a session from which its share of lost ones means something."""

LONG = HOUR
"""Seconds: what is left of shorter windows is nobody's loss."""

CURED = (Fault.AUTH, Fault.FORBIDDEN, Fault.NO_MONEY)
"""What an operator ends with a new credential."""


class World:
    """Raises `promises.Broken` from `run` when a promise is."""

    def __init__(
        self, seed: int, scenario: str | Scenario, strategy: str = "priority", *,
        days: float | None = None, leave_at: float = 95.0,
    ) -> None:  # fmt: skip
        """A scenario by its name draws a policy from the seed; one that is given works with the defaults."""
        self._named = named = isinstance(scenario, str)
        self._seed = seed
        self.rng = rng = Random(f"{seed}/{scenario if named else ''}")
        self.scenario = SCENARIOS[scenario] if isinstance(scenario, str) else scenario
        self.peace = (days or self.scenario.days) * DAY
        self.request_faults = self.scenario.weather.request_faults
        self.over = False
        self.numbers = Numbers(simulations=1, virtual_days=self.peace / DAY)
        self.loop = Loop()
        self.machine = Machine(self.loop)
        self.watch = Watch(self.machine)
        self.disk = Disk(self.loop, self.watch.written)
        self.strategy = strategy
        self.leave_at = leave_at
        self.policy = draw_policy(rng) if named else DispatchPolicy()
        self._concurrency = rng.choice((8, 8, 2)) if named else 8
        self.providers = {p.name: p for p in (self._provider(Anthropic()), self._provider(OpenAI()))}
        self.process: Process | None = None
        self._requests = 0
        self._asking: dict[int, Task] = {}
        self._last: dict[int, str] = {}
        self._asked: Counter[int] = Counter()
        self._lost: Counter[int] = Counter()
        self._disabled: set[str] = set()

    def run(self) -> Numbers:
        """All of it."""
        self._start()
        for session, habit in enumerate(draw_habits(self.scenario, self.rng)):
            # With a life of its own, everybody works alike whatever is decided: strategies can be compared.
            rng = self.rng if self._named else Random(f"{self._seed}/{session}")
            Task(self.loop, agent(self, session, habit, rng), delay=rng.uniform(0, 3600))
        Task(self.loop, self._mishaps())
        for provider in self.providers.values():
            for episode in provider.episodes:
                if episode.fault in CURED and episode.account and self.rng.random() < 0.7:
                    Task(self.loop, self._cure(episode.account), delay=episode.end + self.rng.uniform(1, 3600))
        self.loop.run(self.peace)
        self._recover()
        self._count()
        return self.numbers

    # -- what agents do -------------------------------------------------------------------------------------------

    def request(
        self, provider: str, model: str, stream: bool, bad: bool,
        session: int = -1, prompt: int = 0, begins: bool = True,
    ) -> Request:  # fmt: skip
        self._requests += 1
        return Request(self._requests, provider, model, stream, bad, session, prompt, begins)

    def ask(self, session: int, request: Request, gives_up: float | None = None) -> Steps[End]:
        """Send it to the process, whichever runs. `gives_up`: the client hangs up after so many seconds."""
        process, task = self.process, self.loop.task
        if process is None or task is None:
            return End("down")
        self._asking[request.number] = task
        timer = None if gives_up is None else self.loop.after(gives_up, lambda: task.throw(HungUp()))
        try:
            end = yield from process.serve(request)
        except HungUp:
            end = End("gone")
        except Crashed:
            end = End("crashed")
            self._crash(request.number)
        finally:
            self._asking.pop(request.number, None)
            if timer is not None:
                timer.cancel()
        self._counted(session, request, end)
        return end

    def _counted(self, session: int, request: Request, end: End) -> None:
        numbers = self.numbers
        numbers.requests += 1
        self._asked[session] += 1
        numbers.ambiguous += end.ambiguous
        numbers.gone += end.how == "gone"
        if end.how in ("served", "cut"):
            numbers.served += end.how == "served"
            numbers.switches += self._last.get(session, end.account) != end.account
            self._last[session] = end.account
            numbers.prompt += request.prompt
            numbers.fresh += end.fresh
            numbers.cold_switches += end.lost > 0
            numbers.cold += end.lost
        if end.how in ("cut", "crashed", "exhausted", "empty", "overloaded", "failed"):
            numbers.lost += 1
            numbers.blocked += end.wait if end.how == "exhausted" else 0.0
            self._lost[session] += 1
            provider, now = self.providers[request.provider], self.loop.now
            numbers.avoidable += any(
                name not in self._disabled and provider.could_serve(name, request.model, now)
                for name in provider.accounts
            )

    # -- what befalls the process -----------------------------------------------------------------------------------

    def _start(self) -> None:
        self.process = Process(
            self.machine, self.disk, self.watch, self.rng, self.providers,
            strategy=self.strategy, policy=self.policy, crash=self._dies_now, disabled=self._disabled,
            concurrency=self._concurrency, leave_at=self.leave_at,
        )  # fmt: skip

    def _dies_now(self) -> bool:
        return not self.over and self.rng.random() < self.scenario.crash_per_step

    def _crash(self, by: int | None = None) -> None:
        """kill -9; `by`: the request whose step it was."""
        process, self.process = self.process, None
        if process is None:
            return  # killed already: this is one of its requests
        process.alive = False
        self.watch.note("the process is killed")
        self.numbers.crashes += 1
        self.disk.lose_unwritten()
        for number, task in list(self._asking.items()):
            if number != by:
                task.throw(Crashed())
        self.loop.after(self.rng.uniform(0.3, 20), self._start_again)

    def _start_again(self) -> None:
        if self.process is None:
            self.watch.note("the process starts")
            self._start()

    def _mishaps(self) -> Steps[None]:
        if not self.scenario.mishaps:
            return
        while True:
            yield self.rng.expovariate(self.scenario.mishaps / DAY)
            if self.over:
                return
            self.rng.choice((self._set_clock, self._reboot, self._crash, self._other_writer, self._switch))()

    def _set_clock(self) -> None:
        seconds = self.rng.choice(JUMPS)
        self.machine.offset += seconds
        self.watch.note("the wall clock jumps by {} s", seconds)

    def _reboot(self) -> None:
        self._crash()
        self.machine.reboot()
        self.watch.note("the machine has booted")

    def _other_writer(self) -> None:
        if self.process is not None:
            self.watch.note("somebody else writes to the store")
            self.process.read_again()

    def _switch(self) -> None:
        """The operator disables an account, or enables it again; one stays."""
        provider = self.rng.choice(list(self.providers.values()))
        name = self.rng.choice(list(provider.accounts))
        if name in self._disabled:
            self._disabled.discard(name)
        elif sum(other not in self._disabled for other in provider.accounts) > 1:
            self._disabled.add(name)
        self.watch.note("configuration: disabled are {}", sorted(self._disabled))
        if self.process is not None:
            self.process.reload()

    def _cure(self, name: str) -> Steps[None]:
        if self.process is not None and not self.over:
            self.watch.note("{} gets a new credential", name)
            self.process.new_credential(name)
        return
        yield 0.0

    # -- the end ------------------------------------------------------------------------------------------------------

    def _recover(self) -> None:
        """Faults have stopped: whatever was under way ends, and every account serves again when its time has come."""
        self.over = True
        self.watch.note("peace")
        self._disabled.clear()
        self._start_again()
        assert self.process is not None
        self.process.reload()
        patience = max([e.latest for entries in self.watch.known.values() for e in entries], default=0.0)
        times = (1.0, 120.0, 3600.0, 7 * 3600.0, max(0.0, patience - self.peace) + JITTER_MAX + 1)
        for delay in times:
            for name in self.providers:
                Task(self.loop, self._must_live(name), delay=delay)
        self.loop.run(self.peace + max(times) + 3600)
        for provider in self.providers.values():
            for name in provider.accounts:
                Task(self.loop, self._must_serve(provider, name))
        self.loop.run(self.loop.now + 3600)
        if self.watch.open:
            raise promises.Broken("LIVE", f"requests that never end: {sorted(self.watch.open)}")
        if self.process.admission.total or self.process.admission.waiting:
            raise promises.Broken("LIVE", f"leases that nobody gave back: {self.process.admission}")

    def _must_live(self, provider: str) -> Steps[None]:
        assert self.process is not None
        for model in MODELS:
            request = self.request(provider, model, True, False)
            seen = Seen(
                request.number, provider, model, self.loop.now, self.policy, self.process.pools[provider].priority
            )
            served = (yield from self.process.serve(request)).how == "served"
            promises.live_an_account_that_may_serve_serves(self.watch, seen, served)

    def _must_serve(self, provider: SimProvider, name: str) -> Steps[None]:
        """Each account by itself, until its breaker is closed."""
        assert self.process is not None
        for _ in range(5):
            end = yield from self.process.serve(self.request(provider.name, MODELS[0], True, False), only=name)
            if end.how != "served":
                raise promises.Broken("LIVE", f"{name} never serves again: {end}")
            if self.process.health.breaker_state(name, self.machine.monotonic()) == "closed":
                return
        raise promises.Broken("LIVE", f"the breaker of {name} never closes")

    def _count(self) -> None:
        self.numbers.steps = self.watch.steps
        often = [self._lost[s] / asked for s, asked in self._asked.items() if asked >= OFTEN]
        self.numbers.worst = max(often, default=0.0)
        for provider in self.providers.values():
            self.numbers.attempts += provider.received
            self.numbers.evenness += jain([provider.work[name] for name in provider.accounts]) * (
                sum(provider.work.values()) / max(1, sum(sum(p.work.values()) for p in self.providers.values()))
            )
            for quota in provider.accounts.values():
                for window in quota.windows:
                    if window.length < LONG:
                        continue
                    window.roll(self.peace)
                    self.numbers.offered += window.offered
                    self.numbers.wasted += window.wasted

    def _provider(self, voice: Anthropic | OpenAI) -> SimProvider:
        name, rng, weather = voice.provider.name, self.rng, self.scenario.weather
        accounts = draw_accounts(self.scenario, name, rng)
        episodes = forecast(weather, list(accounts), MODELS, self.peace, rng)
        return SimProvider(voice, accounts, weather, episodes, rng, EPOCH, self.peace)
