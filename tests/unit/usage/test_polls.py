"""The smaller polls, the table of them, and what they all keep to."""

import json
from typing import Any

import pytest
from poll_answers import KEY, NOW, account, header, paths, polled, told

from mitm_balancer.providers.anthropic import PROVIDER as ANTHROPIC
from mitm_balancer.providers.limits import Window, windows
from mitm_balancer.providers.registry import BUILTIN
from mitm_balancer.usage.polls.model import Amount, Answer, Finding, Question, Subject
from mitm_balancer.usage.polls.reading import percent
from mitm_balancer.usage.polls.registry import POLLS, REASONS, poll_of, reason

OAT = "sk-ant-oat01-canary0123456789"
SOON = "2026-09-21T15:13:20Z"
"""An hour after NOW."""


def test_every_provider_is_asked_or_says_why_not() -> None:
    names = {provider.name for provider in BUILTIN}
    assert POLLS.keys() | REASONS.keys() == names
    assert not POLLS.keys() & REASONS.keys()
    assert poll_of("corp") is None
    assert reason("corp") == "No usage service registered for corp."
    assert reason("groq").startswith("No usage service registered for groq: its keys have no usage endpoint")


@pytest.mark.parametrize(
    ("used", "counted", "left", "expected"),
    [
        (42.0, None, None, 42.0),
        (None, 30.0, 10.0, 75.0),
        (None, 0.0, 0.0, None),
        (None, 5.0, None, None),
        (7.0, 1.0, 1.0, 7.0),
    ],
)
def test_percent_rule(used: float | None, counted: float | None, left: float | None, expected: float | None) -> None:
    assert percent(used, counted, left) == expected


def test_anthropic_windows_have_the_names_of_its_headers() -> None:
    data = {
        "five_hour": {"utilization": 27.4, "resets_at": "2026-09-21T15:13:20.123456+00:00"},
        "seven_day": {"utilization": 60.0, "resets_at": None},
        "seven_day_opus": {"utilization": 10.0, "resets_at": None},
        "seven_day_sonnet": None,
        "extra_usage": {"is_enabled": True, "monthly_limit": 2000, "used_credits": 150, "currency": "usd"},
        "limits": [
            {"kind": "session", "percent": 28, "resets_at": SOON},
            {"kind": "weekly_scoped", "percent": 95, "scope": {"model": {"id": "x", "display_name": "Fable 5"}}},
            {"kind": "weekly_scoped", "percent": 50, "is_active": False, "scope": {"model": {"id": "y"}}},
        ],
    }  # fmt: skip
    finding, questions = polled(account("anthropic", OAT), told(data))
    assert paths(questions) == ["api.anthropic.com/api/oauth/usage"]
    assert header(questions[0], "anthropic-beta") == "oauth-2025-04-20"
    assert {w.name: (w.used_percent, w.wait, w.minutes) for w in finding.windows} == {
        "unified-5h": (28.0, 3600.0, 300),
        "unified-7d": (60.0, None, 10080),
        "unified-7d_opus": (10.0, None, 10080),
        "unified-7d_fable_5": (95.0, None, 10080),
    }
    assert finding.amounts == (Amount("extra usage", 1.5, 18.5, 20.0, "USD"),)
    header_names = {
        w.name
        for w in windows(
            ANTHROPIC,
            {f"anthropic-ratelimit-{n}-utilization": "0.1" for n in ("unified-5h", "unified-7d", "unified-7d_opus")},
            server_now=NOW,
        )
    }
    assert header_names < {w.name for w in finding.windows}


def test_an_anthropic_key_is_not_sent_anywhere() -> None:
    finding, questions = polled(account("anthropic", "sk-ant-api03-x"))
    assert (finding.confidence, finding.settled, questions) == ("unavailable", True, [])


def test_anthropic_is_asked_rarely_and_its_wait_is_kept() -> None:
    assert POLLS["anthropic"].every >= 600
    assert POLLS["anthropic"].quiet >= 600
    finding, _ = polled(account("anthropic", OAT), told({}, 429, retry_after="2895"))
    assert (finding.wait, finding.settled) == (2895.0, False)


def test_openai_sums_what_the_organisation_used() -> None:
    rows = [{"input_tokens": 100, "output_tokens": 10, "num_model_requests": 2}]
    data = {"data": [{"results": rows}, {"results": rows * 2}, {"results": None}]}
    finding, questions = polled(account("openai", kind="api"), told(data))
    start = int(NOW) - 86_400
    assert paths(questions) == [f"api.openai.com/v1/organization/usage/completions?start_time={start}&bucket_width=1d"]
    assert [(a.name, a.used) for a in finding.amounts] == [
        ("last 24 h, input", 300.0),
        ("last 24 h, output", 30.0),
        ("last 24 h, requests", 6.0),
    ]
    finding, _ = polled(account("openai", kind="api"), told({}, 403))
    assert (finding.message, finding.settled) == ("OpenAI usage request failed with HTTP 403.", True)


def test_openrouter_tells_the_keys_limit_and_the_accounts_credits() -> None:
    key = {"data": {"limit": 10, "limit_remaining": 2.5, "usage_daily": 1.25, "is_free_tier": False}}
    finding, questions = polled(
        account("openrouter", kind="api"), told(key), told({"data": {"total_credits": 40, "total_usage": 30.5}})
    )
    assert paths(questions) == ["openrouter.ai/api/v1/key", "openrouter.ai/api/v1/credits"]
    assert finding.windows == (Window("key-limit", 75.0, 2.5, 10.0),)
    assert finding.amounts == (Amount("today", used=1.25, unit="USD"), Amount("credits", 30.5, 9.5, 40.0, "USD"))

    finding, _ = polled(account("openrouter", kind="api"), told({"data": {"limit": None}}), told({}, 403))
    assert (finding.confidence, finding.windows, finding.amounts) == ("exact", (), ())


def test_kimi_windows_have_lengths_and_strings_for_numbers() -> None:
    data = {
        "usage": {"limit": "100", "used": "25", "remaining": "75", "resetTime": SOON},
        "limits": [
            {"window": {"duration": 300, "timeUnit": "TIME_UNIT_MINUTE"}, "detail": {"limit": "50", "remaining": "10"}}
        ],
    }
    finding, questions = polled(account("kimi"), told(data))
    assert paths(questions) == ["api.kimi.com/coding/v1/usages"]
    assert finding.windows == (
        Window("plan", 25.0, 75.0, 100.0, 3600.0),
        Window("5h", 80.0, 10.0, 50.0, minutes=300),
    )
    assert polled(account("kimi"), told({}))[0].confidence == "unavailable"


def test_moonshot_tells_a_balance() -> None:
    data = {"data": {"available_balance": 49.5, "voucher_balance": "46", "cash_balance": 3}}
    finding, questions = polled(account("moonshot-cn", kind="api"), told(data))
    assert paths(questions) == ["api.moonshot.cn/v1/users/me/balance"]
    assert finding.amounts == (
        Amount("balance", remaining=49.5, unit="CNY"),
        Amount("of it vouchers", remaining=46.0, unit="CNY"),
    )


def test_opencode_go_has_three_windows() -> None:
    usage = {
        "rolling": {"status": "rate-limited", "percent": 100, "resetsAt": SOON},
        "weekly": {"status": "ok", "percent": 31.5},
        "monthly": None,
    }
    finding, questions = polled(account("opencode", kind="api"), told({"usage": usage}))
    assert paths(questions) == ["opencode.ai/zen/go/v1/usage"]
    assert finding.windows == (
        Window("rolling", 100.0, wait=3600.0, status="rate_limited", minutes=300),
        Window("weekly", 31.5, status="allowed", minutes=10080),
    )
    finding, _ = polled(account("opencode", kind="api"), told({"error": {"type": "EntitlementError"}}, 403))
    assert (finding.settled, finding.message) == (True, "This key has no Go plan, and Zen has no usage endpoint.")


def test_code_assist_is_asked_for_its_project() -> None:
    buckets = {
        "buckets": [{"modelId": "gemini-2.5-pro", "remainingFraction": 0.25, "resetTime": SOON}, {"modelId": "x"}]
    }
    loaded = {"cloudaicompanionProject": "proj-1", "currentTier": {"id": "standard-tier"}}
    finding, questions = polled(account("codeassist", "ya29.x"), told(loaded), told(buckets))
    assert [q.url.rpartition(":")[2] for q in questions] == ["loadCodeAssist", "retrieveUserQuota"]
    assert json.loads(questions[1].body) == {"project": "proj-1"}
    assert finding.windows == (Window("gemini-2.5-pro", 75.0, wait=3600.0),)
    assert finding.plan == "standard-tier"

    own = account("codeassist", "ya29.x", identity={"project": "mine"})
    _, questions = polled(own, told({}, 500), told(buckets))
    assert json.loads(questions[1].body) == {"project": "mine"}, "a project that is known needs no other answer"
    assert polled(account("codeassist", "ya29.x"), told({}, 401))[0].settled


def test_zai_windows_of_one_kind_are_told_apart_by_their_reset() -> None:
    limits = [
        {"type": "TOKENS_LIMIT", "percentage": 70, "nextResetTime": (NOW + 9000) * 1000},
        {"type": "TOKENS_LIMIT", "percentage": 20, "nextResetTime": (NOW + 600) * 1000},
        {"type": "TIME_LIMIT", "usage": 100, "currentValue": 5, "remaining": 95},
    ]
    finding, questions = polled(
        account("zai", kind="api"), told({"success": True, "data": {"limits": limits, "level": "pro"}})
    )
    assert paths(questions) == ["api.z.ai/api/monitor/usage/quota/limit"]
    assert {w.name: w.used_percent for w in finding.windows} == {"tokens": 20.0, "tokens-2": 70.0, "tools": 5.0}
    assert finding.plan == "pro"
    assert polled(account("zai", kind="api"), told({"success": False, "code": 1001}))[0].confidence == "unavailable"


def test_deepseek_tells_each_currency() -> None:
    infos = [
        {"currency": "USD", "total_balance": "1.50"},
        {"currency": "CNY", "total_balance": "10"},
        {"currency": "EUR"},
    ]
    finding, _ = polled(account("deepseek", kind="api"), told({"balance_infos": infos}))
    assert [(a.remaining, a.unit) for a in finding.amounts] == [(1.5, "USD"), (10.0, "CNY")]


_ODD: list[Any] = [
    None,
    [],
    {},
    "x",
    1,
    {"data": 1},
    {"data": [1, {"results": [1, {"input_tokens": "x"}]}]},
    {"usage": [], "limits": {}, "buckets": [1], "balance_infos": [{"total_balance": {}}]},
    {"five_hour": {"utilization": float("inf"), "resets_at": 1e400}, "seven_day_": {"utilization": 10**400}},
    {"quota_snapshots": {"chat": 1, "": {"entitlement": "many"}}, "login": "o", "usageItems": [{"quantity": []}]},
]
_SECRETS = {"anthropic": OAT, "copilot": "gho_x"}


@pytest.mark.parametrize("provider", sorted(POLLS))
def test_polls_are_total_and_show_no_secret(provider: str) -> None:
    """Whatever comes back, a finding comes out of it; the secret stands in headers that are never shown."""
    subject: Subject = account(provider, _SECRETS.get(provider, KEY), kind="oauth", identity={"project": "p"})
    for odd in _ODD:
        for status in (200, 503):
            asking = POLLS[provider].asking(subject, NOW)
            question = next(asking)
            for _ in range(6):
                assert subject.secret.reveal() not in repr(question) + question.url + repr(subject)
                assert question.url.startswith("https://")
                try:
                    question = asking.send(told(odd, status))
                except StopIteration as end:
                    assert isinstance(end.value, Finding)
                    assert end.value.confidence in ("exact", "unavailable")
                    break
            else:
                raise AssertionError("it asks for ever")


def test_a_gateways_credential_goes_to_the_gateway() -> None:
    for provider in sorted(POLLS):
        subject = account(
            provider, _SECRETS.get(provider, KEY), base="https://gateway.example/v", identity={"project": "p"}
        )
        asking = POLLS[provider].asking(subject, NOW)
        question: Question = next(asking)
        assert question.url.startswith("https://gateway.example/v/"), provider
        assert not subject.is_paced


def test_an_answer_names_the_wait_it_asks_for() -> None:
    assert Answer(429, {"retry-after-ms": "1500"}, b"", NOW).retry_after == 1.5
    assert Answer(429, {}, b"", NOW).retry_after is None


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("", "https://api.example/v1/usage"),
        ("https://g.example", "https://g.example/v1/usage"),
        ("https://g.example/v1", "https://g.example/v1/usage"),
        ("https://g.example/openai/v1/", "https://g.example/openai/v1/usage"),
        ("https://g.example/v2", "https://g.example/v2/v1/usage"),
    ],
)
def test_a_base_that_holds_the_version_holds_it_once(base: str, url: str) -> None:
    assert account("openai", base=base).url("https://api.example", "/v1/usage") == url
