"""What the wire says about usage reaches the trace and `balancer status`; a user's own rule decides a failover."""

from __future__ import annotations

from e2e.conftest import Launch
from e2e.harness import config
from e2e.helpers import CHAT, ask, corner, told
from mitm_balancer.testing import FakeProvider, steps

TEAPOT = '{"error": {"code": "teapot", "message": "no coffee here"}}'


async def test_a_users_rule_makes_a_teapot_fail_over(fake: FakeProvider, launch: Launch) -> None:
    """A 418 is returned as it came; with a rule for this provider it is a limit, and with none for the other it stays.

    The cooldown is the rule's: the account is passed over by the next request.
    """
    named, other = corner(fake, "corp", CHAT), corner(fake, "else", CHAT)
    for where in (named, other):
        fake.play(where.labels[0], then=steps.status(418, TEAPOT))
        fake.play(where.labels[1], then=steps.ok())
    rule = {"provider": "corp", "status": 418, "code": "Teapot", "text": "COFFEE", "verdict": "RateLimited"}
    proxy = await launch(
        config(
            *named.accounts,
            *other.accounts,
            providers={w.name: w.section for w in (named, other)},
            rules=[rule | {"wait_s": 60}],
        )
    )
    for attempts in (2, 1):
        answer = await ask(proxy, named, stream=False)
        assert (answer.status, told(answer)) == (200, (named.labels[1], attempts))
    assert "corp/corp-a: RateLimited (teapot), back in 60 s" in proxy.output
    answer = await ask(proxy, other, stream=False)
    assert (answer.status, told(answer)) == (418, (other.labels[0], 1))
