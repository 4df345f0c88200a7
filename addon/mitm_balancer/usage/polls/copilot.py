"""GitHub Copilot: an organisation's billing, or four endpoints in order of which the first that tells wins.

Behaviour spec 4.2, wire-facts 4.7. All of them are GitHub's API, so a GitHub token asks, not Copilot's short one.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any
from urllib.parse import quote

from mitm_balancer.providers.limits import Window
from mitm_balancer.secrets import Secret
from mitm_balancer.usage.polls.model import EXACT, Amount, Answer, Asking, Finding, Poll, Question, Subject, unavailable
from mitm_balancer.usage.polls.reading import items, number, part, percent, reset, word, worth_keeping

GITHUB = "https://api.github.com"

_TOKEN = re.compile(r"gh[opsu]_|github_pat_")
"""GitHub's own tokens; `tid=...` is Copilot's and means nothing there."""

_SUMMARIES = (
    "/users/{login}/settings/billing/premium_request/usage",
    "/users/{login}/settings/billing/usage/summary?product=copilot",
)

_SNAPSHOTS = ("premium_interactions", "premium_models", "chat", "completions")
"""Names as in the header `x-quota-snapshot-<name>`. The first that is there speaks for the account (spec 4.2)."""


def _asking(subject: Subject, _: float) -> Asking:
    token = _github_token(subject)
    if token is None:
        return unavailable("GitHub Copilot usage requires OAuth auth.", settled=True)
    if org := subject.identity.get("github_org") or subject.identity.get("githubOrg"):
        return (yield from _organisation(subject, token, org))
    return (yield from _personal(subject, token))


def _organisation(subject: Subject, token: Secret, org: str) -> Asking:
    answer = yield _question(subject, token, f"/orgs/{quote(org, safe='')}/copilot/billing")
    if not answer.ok:
        settled = answer.status in (401, 403, 404)
        message = f"GitHub Copilot billing request for {org} failed with HTTP {answer.status}."
        return unavailable(message, answer, settled=settled)
    plan = word(answer.data.get("plan_type"))
    told = f" ({plan})" if plan else ""
    return Finding(EXACT, f"GitHub Copilot billing fetched for {org}{told}.", plan=plan, raw=(answer.data,))


def _personal(subject: Subject, token: Secret) -> Asking:
    user = yield _question(subject, token, "/copilot_internal/user")
    if user.ok and (finding := read(user)) is not None:
        return finding
    whoami = yield _question(subject, token, "/user")
    login = word(whoami.data.get("login")) if whoami.ok else ""
    if not login:
        return _failed([user, whoami], f"user {user.status}, login {whoami.status}")
    tried: list[Answer] = [user]
    for path in _SUMMARIES:
        answer = yield _question(subject, token, path.format(login=quote(login, safe="")))
        if answer.ok:
            return _summary(login, answer)
        tried.append(answer)
    return _failed(tried, ", ".join(str(answer.status) for answer in tried))


def _failed(tried: list[Answer], statuses: str) -> Finding:
    settled = all(answer.status in (401, 403, 404) for answer in tried)
    return unavailable(f"GitHub Copilot usage request failed with HTTP {statuses}.", *tried, settled=settled)


def _question(subject: Subject, token: Secret, path: str) -> Question:
    return Question(
        subject.url(GITHUB, path) if not subject.is_paced else f"{_origin(subject)}{path}",
        (
            ("Accept", "application/vnd.github+json"),
            ("Authorization", f"Bearer {token.reveal()}"),
            ("X-GitHub-Api-Version", "2026-03-10"),
        ),
    )


def _origin(subject: Subject) -> str:
    """GitHub's API; that of a company's own GitHub stands on `api.` of its domain (UNVERIFIED in wire-facts)."""
    enterprise = subject.identity.get("enterprise_url", "").removeprefix("https://").strip("/")
    return f"https://api.{enterprise.removeprefix('api.')}" if enterprise else GITHUB


def _github_token(subject: Subject) -> Secret | None:
    for secret in (subject.refresh, subject.secret):
        if secret is not None and _TOKEN.match(secret.reveal()):
            return secret
    return None


def read(answer: Answer) -> Finding | None:
    """The finding of `copilot_internal/user`; None when it holds neither a plan nor a number."""
    data = answer.data
    plan, login = word(data.get("copilot_plan")), word(data.get("login"))
    windows = tuple(_windows(data, answer))
    if not plan and not any(w.used_percent is not None or w.remaining is not None for w in windows):
        return None
    told = f" ({plan})" if plan else ""
    message = f"GitHub Copilot personal quota fetched for {login or 'this account'}{told}."
    return Finding(EXACT, message, plan=plan, windows=windows, raw=(data,))


def _windows(data: dict[str, Any], answer: Answer) -> Generator[Window]:
    stated = part(data, "quota_snapshots")
    at = reset(data.get("quota_reset_date_utc")) or reset(data.get("quota_reset_date"))
    for name in (*_SNAPSHOTS, *sorted(stated.keys() - set(_SNAPSHOTS))):
        snapshot = part(stated, name)
        if snapshot:
            window = _window(word(name), snapshot, reset(snapshot.get("quota_reset_at")) or at, answer)
            if worth_keeping(window):
                yield window
    yield from _free_plan(data, answer, reset(data.get("limited_user_reset_date")) or at)


def _free_plan(data: dict[str, Any], answer: Answer, at: float | None) -> Generator[Window]:
    """The free plan states what is left (`limited_user_quotas`) of what (`monthly_quotas`)."""
    left, of = part(data, "limited_user_quotas"), part(data, "monthly_quotas")
    for name in sorted(left.keys() & of.keys()):
        rest, whole = number(left[name]), number(of[name])
        if rest is not None and whole:
            used = percent(None, max(0.0, whole - rest), rest)
            yield Window(word(name), used, rest, whole, answer.wait(at))


def _window(name: str, snapshot: dict[str, Any], at: float | None, answer: Answer) -> Window:
    """These count requests, not tokens."""
    if snapshot.get("unlimited") is True:
        return Window(name, status="available")
    entitled, left = number(snapshot.get("entitlement")), number(snapshot.get("remaining"))
    if left is None:
        left = number(snapshot.get("quota_remaining"))
    counted = None if entitled is None or left is None else max(0.0, entitled - left)
    share = number(snapshot.get("percent_remaining"))
    used = percent(None if share is None else 100.0 - share, counted, left)
    # An allowed overage goes on beyond the quota: it costs, but it refuses nothing.
    status = "available" if snapshot.get("overage_permitted") is True else ""
    return Window(name, used, left, entitled, answer.wait(at), status)


def _summary(login: str, answer: Answer) -> Finding:
    counted = 0.0
    for item in items(answer.data.get("usageItems")):
        net = number(item.get("netQuantity"))
        counted += net if net is not None else number(item.get("quantity")) or 0.0
    amount = Amount("premium requests this month", used=counted, unit="requests")
    return Finding(EXACT, f"GitHub Copilot usage fetched for {login}.", amounts=(amount,), raw=(answer.data,))


POLL = Poll(_asking)
