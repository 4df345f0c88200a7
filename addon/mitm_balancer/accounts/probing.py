"""Whether a provider takes a credential: one small request that costs nothing, and what its answer means.

The request is our own and says so (its user agent is ours): no client is imitated, so a provider that serves its own
clients only may refuse it, and then nothing is claimed.
"""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.verdict import Outcome, Verdict
from mitm_balancer.providers.classify import classify
from mitm_balancer.providers.model import Provider
from mitm_balancer.secrets import Secret
from mitm_balancer.upstream.ask import Told

ANTHROPIC_VERSION = ("anthropic-version", "2023-06-01")

FREE = {
    "anthropic": "/v1/models?limit=1",
    "openai": "/v1/models",
    "codex": "/backend-api/wham/usage",
    "gemini": "/v1beta/models?pageSize=1",
    # Its list of models is open to everybody.
    "openrouter": "/api/v1/key",
    "groq": "/openai/v1/models",
    "mistral": "/v1/models",
    "deepseek": "/user/balance",
    "xai": "/v1/models",
    "together": "/v1/models",
    "fireworks": "/inference/v1/models",
    "cerebras": "/v1/models",
    "moonshot": "/v1/models",
    "moonshot-cn": "/v1/models",
    "kimi": "/coding/v1/usages",
    "zai": "/api/monitor/usage/quota/limit",
    "bigmodel": "/api/monitor/usage/quota/limit",
    "azure": "/openai/v1/models",
}
"""Paths that want a credential and cost nothing (wire-facts x.1 and x.7)."""

COPILOT_PLAN = "https://api.github.com/copilot_internal/user"
"""What a GitHub token may use (wire-facts 4.7)."""

_LISTS = {
    Dialect.ANTHROPIC_MESSAGES: "/v1/models",
    Dialect.OPENAI_CHAT: "/v1/models",
    Dialect.OPENAI_RESPONSES: "/v1/models",
    Dialect.GEMINI: "/v1beta/models",
}
"""For gateways of the user's own: what their dialect's vendor has."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A request to send."""

    url: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Finding:
    """`word`: ok, limited (taken, but at a limit), refused, unreachable, unclear."""

    word: str
    detail: str


def probe(
    provider: Provider, secret: Secret, identity: Mapping[str, str], below: Callable[[str], str] | None = None
) -> Probe | None:
    """The request for one account; None where none is known.

    `below` makes a URL of a path, for an account with a base URL of its own; without it the provider's address counts.
    """
    credential = secret.reveal()
    if provider.name == "copilot" and below is None:
        taken = credential.startswith(("gho_", "ghu_", "github_pat_"))
        return Probe(COPILOT_PLAN, (("authorization", f"token {credential}"),)) if taken else None
    listed = _LISTS[provider.dialect] if provider.custom or below is not None else None
    path = FREE.get(provider.name) or listed
    if path is None:
        return None
    url = below(path) if below is not None else (provider.origin or f"https://{provider.hosts[0]}") + path
    form = provider.form_for(credential)
    headers = [(name, token) for name, token in form.add_tokens]
    headers += [(name, identity[word]) for name, word in provider.account_headers if word in identity]
    if provider.dialect is Dialect.ANTHROPIC_MESSAGES:
        headers.append(ANTHROPIC_VERSION)
    if form.auth.header is not None:
        headers.append((form.auth.header, form.auth.prefix + credential))
    elif form.auth.query is not None:
        sign = "&" if "?" in url else "?"
        url += f"{sign}{urllib.parse.quote(form.auth.query)}={urllib.parse.quote(credential, safe='')}"
    return Probe(url, tuple(headers))


def finding(provider: Provider, told: Told) -> Finding:
    """What the answer means for the credential."""
    if told.status < 300:
        return Finding("ok", f"the provider takes it ({told.status})")
    if told.status < 400:
        return Finding("unclear", f"the provider led elsewhere ({told.status}), which is not followed")
    outcome = classify(provider, told.status, told.headers, told.body, now=time.time())
    return _of(outcome, told.status)


def _of(outcome: Outcome, status: int) -> Finding:
    why = f"{status}{f', {outcome.message}' if outcome.message else ''}"
    match outcome.verdict:
        case Verdict.AUTH_FAILURE:
            return Finding("refused", f"the provider does not take it ({why})")
        case Verdict.PERMISSION_FAILURE | Verdict.REGION_RESTRICTION:
            return Finding("refused", f"the provider knows it and refuses it ({why})")
        case Verdict.RATE_LIMITED | Verdict.QUOTA_EXHAUSTED:
            return Finding("limited", f"the provider takes it, and it is at a limit ({why})")
        case Verdict.TRANSIENT_SERVER_FAILURE:
            return Finding("unreachable", f"the provider is in trouble ({why})")
        case _:
            return Finding("unclear", f"the answer tells nothing about the credential ({why})")
