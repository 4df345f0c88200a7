"""Copilot: an organisation's billing, or the four endpoints in their order."""

from typing import Any

import pytest
from poll_answers import NOW, account, header, paths, polled, told

from mitm_balancer.providers.limits import Window
from mitm_balancer.secrets import Secret
from mitm_balancer.usage.polls.model import Amount, Finding

TOKEN = "gho_canary0123456789"
USER: dict[str, Any] = {
    "login": "octo",
    "copilot_plan": "individual_pro",
    "quota_reset_date": "2026-10-01",
    "quota_snapshots": {
        "chat": {"unlimited": True, "percent_remaining": 100.0},
        "premium_interactions": {"entitlement": 300, "remaining": 75, "percent_remaining": 25.0},
    },
}
CHAIN = [
    "api.github.com/copilot_internal/user",
    "api.github.com/user",
    "api.github.com/users/octo/settings/billing/premium_request/usage",
    "api.github.com/users/octo/settings/billing/usage/summary?product=copilot",
]


def test_the_first_endpoint_tells_all() -> None:
    finding, questions = polled(account("copilot", TOKEN), told(USER))
    assert paths(questions) == CHAIN[:1]
    assert header(questions[0], "Authorization") == f"Bearer {TOKEN}"
    assert header(questions[0], "X-GitHub-Api-Version") == "2026-03-10"
    assert finding.message == "GitHub Copilot personal quota fetched for octo (individual_pro)."
    assert finding.plan == "individual_pro"
    premium, chat = finding.windows
    assert (premium.name, premium.used_percent, premium.remaining, premium.limit) == (
        "premium_interactions",
        75.0,
        75.0,
        300.0,
    )
    assert premium.wait == 1_790_812_800.0 - NOW
    assert chat == Window("chat", status="available")


@pytest.mark.parametrize(
    ("snapshot", "used"),
    [
        ({"entitlement": 300, "remaining": 120}, 60.0),
        ({"entitlement": 300, "quota_remaining": 120}, 60.0),
        ({"entitlement": 300, "remaining": 400}, 0.0),
        ({"entitlement": 0, "remaining": 0}, None),
        ({"percent_remaining": 10}, 90.0),
    ],
)
def test_percent_of_requests(snapshot: dict[str, Any], used: float | None) -> None:
    """Behaviour spec 4.2 and 4.3: used is what is entitled but not left, never below nothing."""
    data = {"copilot_plan": "p", "quota_snapshots": {"chat": snapshot}}
    finding, _ = polled(account("copilot", TOKEN), told(data))
    assert [window.used_percent for window in finding.windows] == [used]


def test_the_free_plan_states_what_is_left_of_a_month() -> None:
    data = {
        "copilot_plan": "free",
        "monthly_quotas": {"chat": 50, "completions": 2000},
        "limited_user_quotas": {"chat": 10},
    }
    finding, _ = polled(account("copilot", TOKEN), told(data))
    assert finding.windows == (Window("chat", 80.0, 10.0, 50.0),)


def test_the_chain_goes_on_until_one_tells() -> None:
    items = {"usageItems": [{"netQuantity": 3, "quantity": 99}, {"quantity": 4.5}, "x"]}
    answers = [told({}, 404), told({"login": "octo"}), told({}, 403), told(items)]
    finding, questions = polled(account("copilot", TOKEN), *answers)
    assert paths(questions) == CHAIN
    assert finding.amounts == (Amount("premium requests this month", used=7.5, unit="requests"),)
    assert finding.confidence == "exact"

    finding, questions = polled(account("copilot", TOKEN), told({}), told({"login": "octo"}), told(items))
    assert paths(questions) == CHAIN[:3], "neither plan nor numbers in the first is a failure"
    assert finding.confidence == "exact"


def test_when_none_tells_every_status_is_told() -> None:
    answers = [told({}, 404), told({"login": "octo"}), told({}, 403), told({}, 500, retry_after="60")]
    finding, _ = polled(account("copilot", TOKEN), *answers)
    assert finding.message == "GitHub Copilot usage request failed with HTTP 404, 403, 500."
    assert (finding.settled, finding.wait) == (False, 60.0)


def test_without_a_login_there_is_nobody_to_ask_for() -> None:
    finding, questions = polled(account("copilot", TOKEN), told({}, 401), told({}, 401))
    assert paths(questions) == CHAIN[:2]
    assert (finding.confidence, finding.settled) == ("unavailable", True)


def test_an_organisation_is_asked_by_name() -> None:
    def org(status: int, data: dict[str, Any]) -> Finding:
        finding, questions = polled(account("copilot", TOKEN, identity={"github_org": "a/b"}), told(data, status))
        assert paths(questions) == ["api.github.com/orgs/a%2Fb/copilot/billing"]
        return finding

    assert org(200, {"plan_type": "business"}).message == "GitHub Copilot billing fetched for a/b (business)."
    assert org(200, {"plan_type": "business"}).plan == "business"
    assert org(404, {}).message == "GitHub Copilot billing request for a/b failed with HTTP 404."


def test_only_a_github_token_asks() -> None:
    finding, _ = polled(account("copilot", "tid=1;exp=2"))
    assert (finding.confidence, finding.message) == ("unavailable", "GitHub Copilot usage requires OAuth auth.")
    stored = account("copilot", "tid=1;exp=2", refresh=Secret(TOKEN))
    _, questions = polled(stored, told(USER))
    assert header(questions[0], "Authorization") == f"Bearer {TOKEN}"


def test_where_it_asks() -> None:
    """An exchange's own host is Copilot's; a company's GitHub has its own API; any other base gets its own token."""
    for fields, url in (
        ({"base": "https://api.individual.githubcopilot.com"}, "https://api.github.com/copilot_internal/user"),
        ({"identity": {"enterprise_url": "corp.ghe.com"}}, "https://api.corp.ghe.com/copilot_internal/user"),
        ({"base": "https://gateway.example/x"}, "https://gateway.example/x/copilot_internal/user"),
        (
            {"base": "https://githubcopilot.com.evil.example"},
            "https://githubcopilot.com.evil.example/copilot_internal/user",
        ),
    ):
        _, questions = polled(account("copilot", TOKEN, **fields), told(USER))
        assert questions[0].url == url
