"""The retry budget (P2)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mitm_balancer.core.budget import RATIO, RESERVE, TTL, RetryBudget

START = 1000.0


def drained(budget: RetryBudget, now: float) -> int:
    count = 0
    while budget.withdraw(now):
        count += 1
    return count


def test_the_reserve_lets_a_quiet_user_retry() -> None:
    """Three, whatever the clock began at."""
    for start in (0.0, START, 1e9):
        assert drained(RetryBudget(), start) == 3


def test_five_requests_pay_for_one() -> None:
    """20 %."""
    budget = RetryBudget(reserve=0)
    for count, paid in ((4, 0), (1, 1), (11, 2)):
        for _ in range(count):
            budget.deposit(START)
        assert drained(budget, START) == paid


def test_a_refused_withdrawal_changes_nothing() -> None:
    """A fraction is kept for the next request."""
    budget = RetryBudget(reserve=0)
    for _ in range(4):
        budget.deposit(START)
    for _ in range(10):
        assert not budget.withdraw(START)
    budget.deposit(START)
    assert budget.withdraw(START)


def test_balance_is_what_can_be_paid() -> None:
    """A fraction here and a fraction there are one extra attempt, if the balance says one."""
    budget = RetryBudget(reserve=1.5)
    for _ in range(3):
        budget.deposit(START)
    assert int(budget.balance(START)) == 2
    assert drained(budget, START) == 2


def test_deposits_fade() -> None:
    """Yesterday's calm does not pay for today's storm: 1000 deposits are 200 extra attempts now, 27 after 20 s."""
    budget = RetryBudget(reserve=0)
    for _ in range(1000):
        budget.deposit(START)
    assert 198 <= budget.balance(START) <= 200.001
    assert 27 <= budget.balance(START + 2 * TTL) < 27.1
    assert budget.balance(START + 30 * TTL) < 1


def test_the_reserve_refills_but_never_above_itself() -> None:
    """In ten seconds."""
    budget = RetryBudget()
    assert drained(budget, START) == 3
    assert drained(budget, START + TTL / 3 + 0.01) == 1
    assert drained(budget, START + 1000) == 3


def test_a_clock_that_goes_back_gives_nothing() -> None:
    """Monotonic clocks do not; a late caller with an older `now` may."""
    budget = RetryBudget()
    assert drained(budget, START) == 3
    assert drained(budget, START - 500) == 0
    assert drained(budget, START) == 0


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(0, 30), st.integers(0, 30)), max_size=30))
def test_extra_attempts_are_bounded_in_every_window(steps: list[tuple[float, int, int]]) -> None:
    """In any window: a fifth of the requests so far, plus the reserve, which refills once in TTL."""
    budget, now, requests, extra, passed = RetryBudget(), START, 0, 0, 0.0
    for wait, deposits, tries in steps:
        now, passed = now + wait, passed + wait
        for _ in range(deposits):
            budget.deposit(now)
        requests += deposits
        extra += sum(budget.withdraw(now) for _ in range(tries))
        assert extra <= requests * RATIO + RESERVE * (1 + passed / TTL) + 1e-6
