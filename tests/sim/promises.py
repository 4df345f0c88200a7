"""The promises of DESIGN section 6, as the core can keep them: each a function that raises `Broken` when it does not.

They are asserted against the truth (what the simulated provider did and said), which `Watch` keeps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mitm_balancer.core.budget import RATIO, RESERVE, TTL, RetryBudget
from mitm_balancer.core.dispatch import Attempt, Pause, Queue, Stop
from mitm_balancer.core.enough import SERVER_EXTRA
from mitm_balancer.core.health import ALL_MODELS, Block
from mitm_balancer.core.priority import TargetInfo, allows
from mitm_balancer.core.ramp import STEP
from sim.pace import within_budget
from sim.plan import Kind
from sim.seen import Seen, Try

if TYPE_CHECKING:
    from sim.watch import Watch

EPSILON = 1e-6
"""Seconds: sums of floats."""

SLACK = 1e-3
"""Seconds: unix times are floats with a grain of 2e-7 s, and sleepers wake a little late."""

LONG_AGO = 1e9

MOST_PAUSES = 20
"""In a row: a backoff, and one hold per account and cooldown that ends meanwhile."""

DEFAULT_BUDGET = RetryBudget(ratio=RATIO, reserve=RESERVE, ttl=TTL)


class Broken(AssertionError):
    """A promise that was not kept."""

    def __init__(self, promise: str, text: str) -> None:
        super().__init__(f"{promise}: {text}")
        self.promise = promise


def on_attempt(watch: Watch, seen: Seen, step: Attempt) -> None:
    p1_attempts_are_bounded(watch, seen, step)
    p2_an_outage_is_not_amplified(watch, seen, step)
    p3_scope_is_learnt(watch, seen, step)
    p4_nothing_after_commit(watch, seen, step)
    p5_never_billed_twice_in_silence(watch, seen, step)
    p6_a_request_fault_is_returned(watch, seen, step)
    p8_nobody_comes_before_the_reset(watch, seen, step)
    ramp_nobody_is_stampeded(watch, seen, step)


def on_pause(watch: Watch, seen: Seen, step: Pause) -> None:
    hold_is_bounded(watch, seen, step)
    p4_nothing_after_commit(watch, seen, step)


def on_queue(watch: Watch, seen: Seen, step: Queue) -> None:
    p4_nothing_after_commit(watch, seen, step)
    if step.seconds < 0 or watch.now + step.seconds - seen.started > seen.policy.deadline + SLACK:
        raise Broken("P1", "queues beyond the deadline")


def on_stop(watch: Watch, seen: Seen, step: Stop) -> None:
    p1_refusals_walk_the_pool(watch, seen, step)
    p11_the_wait_is_true(watch, seen, step)


def on_end(watch: Watch, seen: Seen, tried: Try, before: Block | None) -> None:
    if tried.kind is Kind.REQUEST:
        p6_counts_for_nothing(watch, seen, tried.account, before, "a request fault")
    if tried.kind is Kind.CAPACITY:
        p6_counts_for_nothing(watch, seen, tried.account, before, "a capacity code")
    p6_no_probe_is_stuck(watch, seen)
    p8_cooldowns_hold(watch, tried.account)


# -- P1 -----------------------------------------------------------------------------------------------------------


def p1_attempts_are_bounded(watch: Watch, seen: Seen, step: Attempt) -> None:
    """At most `max_attempts`; an account once, and once more after a pause; two extra ones for server failures."""
    if step.number != len(seen.tries) + 1 or step.number > seen.policy.max_attempts:
        raise Broken("P1", f"attempt {step.number} of {seen.policy.max_attempts}, {len(seen.tries)} were made")
    times = seen.accounts.count(step.target.name)
    if times > 1 or step.target.name in seen.since_pause:
        raise Broken("P1", f"{step.target.name} is tried again after {seen.accounts}, paused since {seen.since_pause}")
    if len({*seen.accounts, step.target.name}) > seen.policy.failover_budget + 1:
        raise Broken("P1", f"more accounts than failover_budget allows: {seen.accounts}")
    if seen.server_extras > SERVER_EXTRA:
        raise Broken("P1", f"{seen.server_extras} extra attempts after server failures")
    if seen.tries and watch.now - seen.started >= seen.policy.deadline + EPSILON:
        raise Broken("P1", f"an attempt after the deadline: {watch.now - seen.started:.1f} s")


def p1_refusals_walk_the_pool(watch: Watch, seen: Seen, step: Stop) -> None:
    """After a definite refusal it goes on while nothing speaks against some account (P2: free of budget)."""
    last = seen.tries[-1] if seen.tries else None
    if last is not None and not last.definite:
        return
    used = len(set(seen.accounts))
    late = watch.now - seen.started >= seen.policy.deadline
    if step.overloaded or late or len(seen.tries) >= seen.policy.max_attempts or used > seen.policy.failover_budget:
        return
    if fresh := [t.name for t in eligible(watch, seen) if t.name not in seen.accounts]:
        raise Broken("P1", f"stopped ({step.because}) although {fresh} could be tried")


def hold_is_bounded(watch: Watch, seen: Seen, step: Pause) -> None:
    """A request is held for `hold` at most, and backs off for at most its two extra attempts."""
    if step.seconds < 0 or seen.held > seen.policy.hold + SLACK:
        raise Broken("P1", f"held for {seen.held:.1f} s")
    if seen.backed_off > seen.policy.backoff_max * SERVER_EXTRA + EPSILON:
        raise Broken("P1", f"backed off for {seen.backed_off:.1f} s")
    if seen.pauses > MOST_PAUSES:
        raise Broken("LIVE", f"{seen.pauses} pauses in a row")
    if watch.now + step.seconds - seen.started > seen.policy.deadline + EPSILON:
        raise Broken("P1", "paused beyond the deadline")


# -- P2, P3 -------------------------------------------------------------------------------------------------------


def p2_an_outage_is_not_amplified(watch: Watch, seen: Seen, step: Attempt) -> None:
    """Extra attempts for server failures stay within a fifth of the requests and the reserve."""
    pace = watch.pace[seen.provider]
    if not within_budget(pace, watch.now, DEFAULT_BUDGET):
        raise Broken("P2", f"{pace.paid} extra attempts for {pace.arrived} requests, {len(pace.payments)} in a minute")


def p3_scope_is_learnt(watch: Watch, seen: Seen, step: Attempt) -> None:
    """It is the provider: the warm account after a backoff. It is one account: another one, while there is one."""
    last = seen.tries[-1] if seen.tries else None
    name = step.target.name
    if last is None or not last.server_side:
        return
    failed = [t.account for t in seen.tries if t.server_side]
    if seen.provider_wide:
        warm_is_out = any(watch.out_latest(account, seen.model) > watch.now for account in failed)
        if name not in failed and not warm_is_out:
            raise Broken("P3", f"the provider is down, yet it rotates from {failed} to {name}")
        if name in failed and not seen.paused:
            raise Broken("P3", f"the provider is down, yet {name} is asked again without a backoff")
    elif (
        not seen.queued
        and name in seen.accounts
        and (others := [t.name for t in eligible(watch, seen) if t.name not in seen.accounts])
    ):
        raise Broken("P3", f"only {failed} failed, and {name} is asked again although {others} are there")


# -- P4, P5, P6 ---------------------------------------------------------------------------------------------------


def p4_nothing_after_commit(watch: Watch, seen: Seen, step: Attempt | Pause | Queue) -> None:
    """After commit nothing is re-issued."""
    if seen.committed:
        raise Broken("P4", f"after commit: {step}")


def p5_never_billed_twice_in_silence(watch: Watch, seen: Seen, step: Attempt) -> None:
    """What may have been billed is sent again once, and only where that is allowed."""
    unanswered = sum(t.unanswered for t in seen.tries)
    if unanswered > (1 if seen.policy.retry_ambiguous else 0):
        raise Broken("P5", f"{unanswered} attempts may have been billed, yet there is another one")


def p6_a_request_fault_is_returned(watch: Watch, seen: Seen, step: Attempt) -> None:
    """What the request itself is at fault for is never sent to another account."""
    if seen.tries and seen.tries[-1].kind is Kind.REQUEST:
        raise Broken("P6", f"a request fault is redispatched to {step.target.name}")


def p6_counts_for_nothing(watch: Watch, seen: Seen, name: str, before: Block | None, what: str) -> None:
    """A request fault, a capacity code or a client that left makes no account any less available than it was."""
    after = block_of(watch, name, seen.model)
    if after is None or (before is not None and (after.until or 0.0) <= (before.until or 0.0) + EPSILON):
        return
    raise Broken("P6", f"{what} has benched {name}: {before} -> {after}")


def p6_no_probe_is_stuck(watch: Watch, seen: Seen) -> None:
    """A probe's slot is taken only while an attempt on that account is under way."""
    assert watch.health is not None
    now = watch.machine.monotonic()
    for target in seen.priority.targets:
        block = watch.health.blocked(target.name, seen.model, now)
        if block is not None and block.breaker and block.until == now and not watch.in_flight(target.name):
            raise Broken("P6", f"{target.name} waits for a probe that nobody makes")


def ramp_nobody_is_stampeded(watch: Watch, seen: Seen, step: Attempt) -> None:
    """An account that takes over gets one request at once, and one more each quarter of a second."""
    name = step.target.name
    began, had = watch.taken_over.get(name, (-LONG_AGO, 0))
    passed, holds = watch.now - began, watch.holding(name)
    if holds > had + passed / STEP + SLACK:
        raise Broken("RAMP", f"{holds + 1} at once on {name}, which had {had} {passed:.3f} s before")


# -- P8 -----------------------------------------------------------------------------------------------------------


def p8_nobody_comes_before_the_reset(watch: Watch, seen: Seen, step: Attempt) -> None:
    """No account is used before the time that its provider stated, whatever was killed in between."""
    early = watch.out_until(step.target.name, seen.model) - watch.now
    if early > SLACK:
        raise Broken("P8", f"{step.target.name} is used {early:.3f} s before its stated reset")


def p8_cooldowns_hold(watch: Watch, name: str) -> None:
    """What a provider said is remembered in full, and nothing is that it did not say: nobody idles without a reason."""
    assert watch.health is not None
    now = watch.machine.monotonic()
    held = {c.model: c.until - now for c in watch.health.cooldowns(now) if c.name == name}
    for (account, model), entries in watch.known.items():
        if account != name:
            continue
        left = max((entry.until - entry.shift for entry in entries), default=0.0) - watch.now
        if left > SLACK and held.get(model, 0.0) < left - SLACK:
            raise Broken(
                "P8", f"{name} ({model or 'all models'}): {left:.1f} s were stated, {held.get(model)} are held"
            )
    for model, left in held.items():
        longest = max((entry.latest for entry in watch.known.get((name, model), ())), default=0.0) - watch.now
        if left > longest + SLACK:
            raise Broken("P8", f"{name} ({model or ALL_MODELS!r}) idles {left:.1f} s, {longest:.1f} s were stated")


# -- P11 ----------------------------------------------------------------------------------------------------------


def p11_the_wait_is_true(watch: Watch, seen: Seen, step: Stop) -> None:
    """Exhausted: the wait is the soonest return, late by jitter only. Empty: waiting helps nobody."""
    if step.exhausted:
        if step.wait is None or step.wait < 0 or step.empty:
            raise Broken("P11", f"exhausted without a wait: {step}")
        blocks = [(t, block_of(watch, t.name, seen.model)) for t in usable(seen)]
        cooling = [t for t, block in blocks if block is not None and not block.breaker and block.waitable]
        soonest = min((watch.out_latest(t.name, seen.model) for t in cooling), default=step.wait + watch.now)
        if step.wait > soonest - watch.now + SLACK:
            raise Broken("P11", f"told to wait {step.wait:.1f} s, somebody is back in {soonest - watch.now:.1f} s")
        if any(block is None or block.breaker for _, block in blocks):
            return  # our own judgement or a tried account: what the provider stated does not bound it
        earliest = min((watch.out_until(t.name, seen.model) for t in cooling), default=0.0)
        if step.wait < earliest - watch.now - SLACK:
            raise Broken("P11", f"told to wait {step.wait:.1f} s, nobody is back before {earliest - watch.now:.1f} s")
    elif step.empty and any(
        block is None or block.breaker or block.waitable
        for block in (block_of(watch, t.name, seen.model) for t in usable(seen))
    ):
        raise Broken("P10", "called empty although waiting would help")


# -- liveness -----------------------------------------------------------------------------------------------------


def live_an_account_that_may_serve_serves(watch: Watch, seen: Seen, served: bool) -> None:
    """Faults have stopped, and no provider's word keeps every account away: the request must succeed."""
    latest = min(watch.out_latest(target.name, seen.model) for target in usable(seen))
    if not served and seen.started > latest + SLACK:
        raise Broken("LIVE", f"#{seen.number} fails although nothing is wrong any more")


# -- what the core says about its targets ---------------------------------------------------------------------------


def usable(seen: Seen) -> list[TargetInfo]:
    return [t for t in seen.priority.targets if t.enabled and not t.usable and allows(t.models, seen.model)]


def block_of(watch: Watch, name: str, model: str) -> Block | None:
    assert watch.health is not None
    return watch.health.blocked(name, model, watch.machine.monotonic())


def eligible(watch: Watch, seen: Seen) -> list[TargetInfo]:
    """Targets that neither a refusal, a breaker nor their limit speaks against."""
    assert watch.health is not None
    now = watch.machine.monotonic()
    return [t for t in usable(seen) if seen.priority.blocked(t, seen.model, watch.health, now) is None]
