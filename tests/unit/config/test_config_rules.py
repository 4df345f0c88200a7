"""`rules:`: the user's own error rows, and what is said about wrong ones."""

import dataclasses
import re

import pytest

from mitm_balancer.config import ConfigErrors, UserRule, parse
from mitm_balancer.config.rules import LONGEST_WAIT, VERDICTS
from mitm_balancer.core.verdict import Scope, Verdict
from mitm_balancer.providers.classify import classify
from mitm_balancer.providers.model import ErrorRule
from mitm_balancer.providers.openai import PROVIDER as OPENAI


def rules(text: str) -> tuple[UserRule, ...]:
    return parse(f"rules:\n{text}", "config.yaml").rules


def errors(text: str) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        rules(text)
    return [str(error) for error in caught.value.errors]


def test_a_rule_with_everything_and_one_with_the_least() -> None:
    found = rules("""\
  - {provider: openai, status: 418, code: TeaPot, text: "out of (tea|coffee)", verdict: RateLimited,
     scope: model, wait_s: 30, redispatch: false}
  - {code: 1302, verdict: QuotaExhausted}
""")
    assert found == (
        UserRule(
            ErrorRule(
                Verdict.RATE_LIMITED,
                status=(418,),
                codes=("teapot",),
                text="out of (tea|coffee)",
                scope=Scope.MODEL,
                redispatch=False,
                wait=30.0,
            ),
            "openai",
        ),
        UserRule(ErrorRule(Verdict.QUOTA_EXHAUSTED, codes=("1302",))),
    )
    assert [found[0].concerns(name) for name in ("openai", "gemini")] == [True, False]
    assert found[1].concerns("gemini")


def test_a_provider_of_the_users_own_may_be_named() -> None:
    text = "providers: {corp: {hosts: [a.example]}}\nrules: [{provider: corp, status: 418, verdict: RateLimited}]"
    assert [rule.provider for rule in parse(text, "c").rules] == ["corp"]


@pytest.mark.parametrize("verdict", VERDICTS)
def test_every_verdict_that_an_answer_can_have(verdict: str) -> None:
    assert [rule.rule.verdict.value for rule in rules(f"  - {{status: 418, verdict: {verdict}}}")] == [verdict]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("{status: 418}", "rules[0]: verdict is missing: expected one of RateLimited, "),
        ("{verdict: RateLimited}", "rules[0]: expected at least one condition: status, code, text"),
        ("{provider: openia, status: 418, verdict: RateLimited}", "rules[0].provider: expected a known provider"),
        ("{status: 200, verdict: RateLimited}", "rules[0].status: expected a whole number from 400 to 599, got 200"),
        ("{status: teapot, verdict: RateLimited}", "rules[0].status: expected a whole number from 400 to 599"),
        ("{code: true, verdict: RateLimited}", "rules[0].code: expected a string, got true"),
        ("{code: '', verdict: RateLimited}", "rules[0].code: expected a string"),
        ("{text: '(a', verdict: RateLimited}", "rules[0].text: expected a regular expression; this one is broken at"),
        ("{text: '(?P<sk-CANARY>a)', verdict: RateLimited}", "rules[0].text: expected a regular expression; this one"),
        ("{status: 418, verdict: Ratelimited}", "rules[0].verdict: expected one of RateLimited, "),
        ("{status: 418, verdict: TransportFailure}", "rules[0].verdict: expected one of RateLimited, "),
        ("{status: 418, verdict: RateLimited, scope: provider}", "rules[0].scope: expected one of account, model, "),
        ("{status: 418, verdict: RateLimited, wait_s: -1}", "rules[0].wait_s: expected a number from 0 to"),
        ("{status: 418, verdict: RateLimited, wait_s: .inf}", "rules[0].wait_s: expected a number from 0 to"),
        (f"{{status: 418, verdict: RateLimited, wait_s: {LONGEST_WAIT + 1}}}", "rules[0].wait_s: expected a number"),
        ("{status: 418, verdict: RateLimited, redispatch: 1}", "rules[0].redispatch: expected true or false, got 1"),
        ("{status: 418, verdict: RequestFault, redispatch: true}", "rules[0].redispatch: a RequestFault is never"),
        ("{status: 418, verdict: PolicyFailure, scope: account}", "rules[0].scope: a PolicyFailure concerns the"),
        ("{status: 418, verdict: RequestFault, wait_s: 3}", "rules[0].wait_s: nobody waits after a RequestFault"),
        ("{statu: 418, status: 418, verdict: RateLimited}", "rules[0].statu: unknown key (did you mean status?)"),
        ("nonsense", "rules[0]: expected a mapping"),
    ],
)
def test_every_mistake_names_line_and_field(row: str, expected: str) -> None:
    (told,) = errors(f"  - {row}")
    assert told.startswith(f"config.yaml:2: {expected}")
    assert "CANARY" not in told


def test_a_list_is_expected() -> None:
    assert errors("  a: b") == ["config.yaml:2: rules: expected a list, got a mapping"]
    assert rules("") == ()


def test_a_rule_decides_before_the_providers_own_table() -> None:
    """A 401 with this text is a limit at this user's gateway; the wait is the rule's, unless the answer states one."""
    (mine,) = rules("  - {status: 401, text: 'TEA is out', verdict: RateLimited, wait_s: 30}")
    provider = dataclasses.replace(OPENAI, errors=(mine.rule, *OPENAI.errors))
    body = b'{"error": {"message": "Sorry, tea is OUT today", "code": "invalid_api_key"}}'

    found = classify(provider, 401, (), body, now=1e9)
    assert (found.verdict, found.wait, found.scope, found.redispatch) == (
        Verdict.RATE_LIMITED,
        30.0,
        Scope.ACCOUNT,
        True,
    )
    assert found.reason == "invalid_api_key"
    assert classify(provider, 401, ((b"retry-after", b"7"),), body, now=1e9).wait == 7.0
    for status, other in ((403, body), (401, re.sub(b"(?i)tea", b"milk", body))):
        assert classify(provider, status, (), other, now=1e9) == classify(OPENAI, status, (), other, now=1e9)
