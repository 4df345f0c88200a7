"""Where a request may go: whatever the matrix, the health and the request, never to a provider that the matrix does not
enable, never with anything of the client's own account, and never changed beyond its model."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st
from mitmproxy import http

from mitm_balancer.core.budget import RetryBudget
from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.dispatch import Attempt, DispatchPolicy
from mitm_balancer.core.health import Health
from mitm_balancer.core.matrix import Across, Matrix, Row, renamed
from mitm_balancer.core.priority import Priority, TargetInfo
from mitm_balancer.core.target import allows
from mitm_balancer.core.verdict import Outcome, Scope, Verdict
from mitm_balancer.providers.entries import dialects
from mitm_balancer.providers.model import PathKind, Provider
from mitm_balancer.providers.registry import BUILTIN, Registry
from mitm_balancer.proxy import facts, wire
from mitm_balancer.proxy.routes import Route, routes
from mitm_balancer.proxy.runtime import Account, ProviderPool, Runtime
from mitm_balancer.upstream.fake import FakeUpstream

NAMES = ("anthropic", "openai", "gemini", "openrouter", "zai", "deepseek", "kimi", "opencode", "groq")
REGISTRY = Registry(BUILTIN)
PROVIDERS = {name: found for name in NAMES if (found := REGISTRY.get(name)) is not None}
CLIENT = "CLIENT-canary"
HOSTS = {
    "anthropic": ("api.anthropic.com", "/v1/messages?beta=true"),
    "openai": ("api.openai.com", "/v1/chat/completions"),
    "gemini": ("generativelanguage.googleapis.com", f"/v1beta/models/claude-m:generateContent?key={CLIENT}"),
    "openrouter": ("openrouter.ai", "/api/v1/responses"),
    "zai": ("api.z.ai", "/api/anthropic/v1/messages"),
}
OUT = Outcome(Verdict.RATE_LIMITED, "limit", Scope.ACCOUNT, 3600.0, redispatch=True)

_RENAME = st.sampled_from([None, "glm", (("claude-*", "k2"), ("*", "rest")), (("nothing", "x"),)])
_ROWS = st.lists(
    st.builds(Row, st.sampled_from(NAMES), _RENAME, st.booleans()), max_size=6, unique_by=lambda row: row.provider
)


def account(provider: Provider, number: int) -> Account:
    secret = f"ACCOUNT-{provider.name}-{number}"
    carrier = wire.Carrier(provider.form_for(secret), secret)
    return Account(f"{provider.name}/{number}", str(number), provider, carrier, wire.leaving(provider))


def pool(provider: Provider, globs: Sequence[tuple[str, ...]]) -> ProviderPool:
    accounts = {a.name: a for a in (account(provider, number) for number in range(len(globs)))}
    targets = [
        TargetInfo(name, provider.name, models) for (name, _), models in zip(accounts.items(), globs, strict=True)
    ]
    return ProviderPool(provider, accounts, Priority(targets), RetryBudget())


def request(home: str, body: dict[str, object]) -> http.Request:
    host, path = HOSTS[home]
    fields = [
        (b"host", host.encode()),
        (b"Authorization", f"Bearer {CLIENT}".encode()),
        (b"x-api-key", CLIENT.encode()),
        (b"X-Goog-Api-Key", CLIENT.encode()),
        (b"anthropic-beta", b"oauth-2025-04-20,other"),
        *((companion.encode(), CLIENT.encode()) for companion in PROVIDERS[home].companions),
        (b"x-other", b"stays"),
    ]
    content = json.dumps(body).encode()
    return http.Request(
        host, 443, b"POST", b"https", b"", path.encode(), b"HTTP/1.1", http.Headers(fields), content, None, 0.0, 0.0
    )


@settings(max_examples=400, deadline=None)
@given(
    home=st.sampled_from(sorted(HOSTS)),
    rows=_ROWS,
    across=st.sampled_from(get_args(Across.__value__)),
    globs=st.dictionaries(
        st.sampled_from(NAMES),
        st.lists(st.sampled_from([("*",), ("glm*",), ("claude-*",)]), min_size=1, max_size=3),
        max_size=6,
    ),
    out=st.sets(st.tuples(st.sampled_from(NAMES), st.integers(0, 2))),
    balancing=st.booleans(),
    whole=st.booleans(),
    seed=st.integers(0, 9),
)
def test_never_where_the_matrix_does_not_allow(
    home: str,
    rows: list[Row],
    across: Across,
    globs: dict[str, list[tuple[str, ...]]],
    out: set[tuple[str, int]],
    balancing: bool,
    whole: bool,
    seed: int,
) -> None:
    pools = {name: pool(PROVIDERS[name], models) for name, models in globs.items()}
    pools.setdefault(home, pool(PROVIDERS[home], []))
    health, rng = Health(random.Random(seed)), random.Random(seed)
    for name, number in out:
        health.record(f"{name}/{number}", "", OUT, 0.0)
    runtime = Runtime(REGISTRY, pools, health, FakeUpstream(), policy=DispatchPolicy(failover=balancing))
    runtime.matrix = Matrix(tuple(rows), across)
    model = "claude-m"
    made = request(home, {"messages": [], "model": model, "input": "hi"})
    claim = runtime.claim(made.host, 443, "POST", made.path)
    assert claim is not None
    assert claim.kind is PathKind.INFERENCE
    found = routes(runtime, claim, made, facts.read(made, claim.dialect), whole=whole)
    dispatch = runtime.dispatch(claim.pool, model, runtime.policy, found.order)
    enabled = {row.provider: row for row in rows if row.enabled}
    for _ in range(12):
        step = dispatch.next(1.0)
        if not isinstance(step, Attempt):
            break
        route = found.of(step.target.name)
        other = route.account.provider.name
        if other == home:
            assert not balancing or home in enabled or all(row.provider != home for row in rows)
            assert route.stand_in is None
        else:
            assert balancing
            assert whole
            assert other in enabled, "the matrix does not enable it"
            assert claim.dialect in dialects(route.account.provider)
            assert route.model == renamed(enabled[other].model, model)
            number = int(route.account.alias)
            assert allows(globs[other][number], route.model)
            assert (other, number) not in out, "it is cooling"
            _goes_out_clean(made, claim.dialect, route)
        dispatch.ended(OUT if rng.random() < 0.8 else Outcome(Verdict.TRANSPORT_FAILURE, redispatch=True), 1.0)


def _goes_out_clean(made: http.Request, dialect: Dialect, route: Route) -> None:
    assert route.stand_in is not None
    carrier = route.stand_in.carrier(made, route.account)
    assert carrier is not None
    body = made.raw_content
    assert body is not None
    sent = route.wire(made, carrier, frozenset(), body)
    assert sent is not None
    text = repr(sent.headers) + repr(sent.target)
    assert CLIENT not in text
    assert text.count(carrier.credential) == 1
    assert route.stand_in.home.name != "anthropic" or "oauth-2025-04-20" not in text
    assert "stays" in text
    assert sent.origin.host in route.account.provider.hosts
    assert {n.lower(): v for n, v in sent.headers}[b"host"] == sent.origin.host.encode()
    if dialect is Dialect.GEMINI:
        assert sent.body == body
        assert f"/models/{route.model}:generateContent".encode() in sent.target
    else:
        assert sent.body == body.replace(b'"claude-m"', f'"{route.model}"'.encode())
