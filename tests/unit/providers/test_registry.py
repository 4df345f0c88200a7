"""Registry: who claims a host."""

from dataclasses import replace

import pytest

from mitm_balancer.core.verdict import Verdict
from mitm_balancer.providers.classify import classify
from mitm_balancer.providers.model import Dialect, ErrorRule, PathRule, Provider
from mitm_balancer.providers.registry import BUILTIN, BUILTIN_NAMES, Registry, split_host


def provider(name: str, *hosts: str) -> Provider:
    return Provider(name=name, hosts=hosts, dialect=Dialect.OPENAI_CHAT, paths=(PathRule("*"),))


def names(registry: Registry, host: str, port: int = 443) -> list[str]:
    return [found.name for found in registry.claim(host, port)]


def test_an_exact_host_is_claimed_on_https_only() -> None:
    registry = Registry(BUILTIN)
    assert names(registry, "api.anthropic.com") == ["anthropic"]
    assert names(registry, "API.Anthropic.Com.") == ["anthropic"]
    assert names(registry, "api.anthropic.com", 80) == []
    assert names(registry, "evil-api.anthropic.com") == []
    assert names(registry, "anthropic.com") == []
    assert names(registry, "") == []


def test_a_wildcard_needs_a_label_before_the_suffix() -> None:
    registry = Registry([provider("wild", "*.corp.example"), provider("exact", "llm.corp.example:8443")])
    assert names(registry, "a.corp.example") == ["wild"]
    assert names(registry, "a.b.corp.example") == ["wild"]
    assert names(registry, "corp.example") == []
    assert names(registry, "notcorp.example") == []
    assert names(registry, "llm.corp.example", 8443) == ["exact"]


def test_exact_comes_before_wildcard_and_longer_suffix_before_shorter() -> None:
    registry = Registry(
        [provider("short", "*.example"), provider("long", "*.corp.example"), provider("exact", "llm.corp.example")]
    )
    assert names(registry, "llm.corp.example") == ["exact", "long", "short"]


def test_several_providers_may_claim_one_host_in_their_order() -> None:
    registry = Registry([provider("one", "h.example", "h.example"), provider("two", "h.example")])
    assert names(registry, "h.example") == ["one", "two"]


def test_names_are_unique() -> None:
    with pytest.raises(ValueError, match="'one'"):
        Registry([provider("one", "a.example"), provider("one", "b.example")])
    assert len(BUILTIN_NAMES) == len(BUILTIN)
    assert Registry(BUILTIN).get("anthropic") is BUILTIN[0]
    assert Registry(BUILTIN).get("nobody") is None
    assert tuple(Registry(BUILTIN)) == BUILTIN


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("Host.Example", ("host.example", 443)),
        ("host.example:8080", ("host.example", 8080)),
        ("127.0.0.1:9000", ("127.0.0.1", 9000)),
        ("[::1]:9000", ("::1", 9000)),
        ("::1", ("::1", 443)),
    ],
)
def test_split_host(entry: str, expected: tuple[str, int]) -> None:
    assert split_host(entry) == expected


def test_a_gateway_of_the_users_own_knows_what_its_dialect_knows() -> None:
    """A plan that is used up behind it is told from a burst; its own rows still come first."""
    own = ErrorRule(Verdict.REQUEST_FAULT, "teapot", status=(418,))
    corp = Provider(
        name="corp",
        hosts=("llm.corp.example",),
        dialect=Dialect.ANTHROPIC_MESSAGES,
        paths=(PathRule("*"),),
        errors=(own,),
        custom=True,
    )
    found = Registry([corp]).get("corp")
    assert found is not None and found.errors[0] is own
    headers = ((b"anthropic-ratelimit-unified-5h-status", b"rejected"), (b"retry-after", b"9"))
    assert classify(found, 429, headers, b"", now=0).verdict is Verdict.QUOTA_EXHAUSTED
    assert classify(corp, 429, headers, b"", now=0).verdict is Verdict.RATE_LIMITED
    assert Registry([replace(corp, custom=False)]).get("corp") == replace(corp, custom=False)
