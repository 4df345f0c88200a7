"""`providers:` - the user's own gateways."""

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mitm_balancer.config import Config, ConfigErrors, parse
from mitm_balancer.config.providers import narrowed
from mitm_balancer.providers import anthropic
from mitm_balancer.providers.model import BEARER, Auth, Dialect, PathKind, Provider
from mitm_balancer.providers.registry import BUILTIN, Registry


def provider(text: str, name: str = "corp") -> Provider:
    return parse(f"providers: {{{name}: {{{text}}}}}", "c").providers[0]


def errors(text: str) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        parse(text, "config.yaml")
    return [str(error) for error in caught.value.errors]


def spoken(found: Provider, path: str) -> Dialect | None:
    rule = found.rule_for("POST", path)
    assert rule is None or rule.kind is PathKind.INFERENCE
    return rule and (rule.dialect or found.dialect)


def test_the_defaults_are_an_openai_compatible_gateway() -> None:
    found = provider('hosts: [LLM.corp.example, "127.0.0.1:9000", "*.llm.corp.example"]')
    assert found.custom
    assert found.hosts == ("llm.corp.example", "127.0.0.1:9000", "*.llm.corp.example")
    assert found.dialect is Dialect.OPENAI_CHAT
    assert found.form_for("anything").auth == BEARER
    assert spoken(found, "/v1/chat/completions") is Dialect.OPENAI_CHAT
    assert spoken(found, "/v1/responses") is Dialect.OPENAI_RESPONSES
    assert spoken(found, "/v1/messages") is Dialect.ANTHROPIC_MESSAGES
    assert spoken(found, "/v1/messages/count_tokens") is Dialect.ANTHROPIC_MESSAGES
    assert spoken(found, "/v1/team/messages") is Dialect.ANTHROPIC_MESSAGES
    assert spoken(found, "/login") is None


@pytest.mark.parametrize(
    ("paths", "path", "expected"),
    [
        ("/api/*", "/api/v1/responses", Dialect.OPENAI_RESPONSES),
        ("/api/*", "/api/messages", Dialect.ANTHROPIC_MESSAGES),
        ("/api/*", "/v1/responses", None),
        ("*", "/v1/responses", Dialect.OPENAI_RESPONSES),
        ("*", "/x/v1/messages", Dialect.ANTHROPIC_MESSAGES),
        ("/v1/chat/completions", "/v1/responses", None),
        ("/a/messages", "/a/messages", Dialect.ANTHROPIC_MESSAGES),
        ("/a/messages", "/v1/messages", None),
        ("/v1/resp*", "/v1/responses", Dialect.OPENAI_RESPONSES),
        ("*v1/*", "/v1/responses", Dialect.OPENAI_RESPONSES),
        ("*v1/*", "/a/v1/b/messages", Dialect.ANTHROPIC_MESSAGES),
    ],
)
def test_sibling_dialects_stay_within_the_globs(paths: str, path: str, expected: Dialect | None) -> None:
    assert spoken(provider(f'hosts: [a.example], paths: ["{paths}"]'), path) is expected


def test_only_openai_chat_has_siblings() -> None:
    found = provider("hosts: [a.example], dialect: anthropic-messages")
    assert spoken(found, "/v1/responses") is Dialect.ANTHROPIC_MESSAGES


@given(head=st.text("/v1mesagrpon", max_size=8), path=st.text("/v1mesagrpon", max_size=12))
def test_narrowed_is_the_intersection(head: str, path: str) -> None:
    for glob in (head, head + "*"):
        for tried in (path, head + path, head + "/messages", head + path + "/messages", "/v1/messages"):
            matches = any(fnmatch.fnmatchcase(tried, pattern) for pattern in narrowed(glob, "/messages"))
            assert matches == (fnmatch.fnmatchcase(tried, glob) and tried.endswith("/messages"))


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        ("bearer", BEARER),
        ("x-api-key", Auth(header="x-api-key")),
        ("{header: X-Corp-Key}", Auth(header="x-corp-key")),
        ('{header: Authorization, prefix: "Key "}', Auth(header="authorization", prefix="Key ")),
        ("{query: api_key}", Auth(query="api_key")),
    ],
)
def test_where_the_credential_goes(auth: str, expected: Auth) -> None:
    assert provider(f"hosts: [a.example], auth: {auth}").form_for("x").auth == expected


@pytest.mark.parametrize(
    "auth",
    [
        "basic",
        "{}",
        "{prefix: x}",
        "{header: X, query: y}",
        "{header: 'a b'}",
        "{header: Host}",
        "{header: content-length}",
        '{header: X, prefix: "a\\r\\nb"}',
        "{query: 'a&b'}",
        "[bearer]",
    ],
)
def test_other_places_are_refused(auth: str) -> None:
    (found,) = errors(f"providers: {{corp: {{hosts: [a.example], auth: {auth}}}}}")
    assert "config.yaml:1: providers.corp.auth" in found
    assert ": expected " in found


@pytest.mark.parametrize(
    "host",
    ["https://a.example", "a.example/v1", "*", "*.com", "a.*.example", "a b", "", "a.example:0", "a.example:", "u@a.b"],
)
def test_hosts_are_checked(host: str) -> None:
    (found,) = errors(f"providers: {{corp: {{hosts: ['{host}']}}}}")
    assert found.startswith("config.yaml:1: providers.corp.hosts[0]: expected ")


def test_every_accepted_host_is_claimed() -> None:
    config = parse('providers: {corp: {hosts: [A.example, "*.b.example", "[::1]:80", "127.0.0.1:9000"]}}', "c")
    registry = Registry(config.all_providers())
    for host, port in (("a.example", 443), ("x.b.example", 443), ("::1", 80), ("127.0.0.1", 9000)):
        assert [found.name for found in registry.claim(host, port)] == ["corp"]


def test_the_name_of_a_builtin_adds_hosts_to_it() -> None:
    config = parse("providers: {anthropic: {hosts: [claude.corp.example]}}", "c")
    (found,) = config.providers
    assert found.hosts == ("api.anthropic.com", "claude.corp.example")
    assert (found.paths, found.forms, found.dialect) == (
        anthropic.PROVIDER.paths,
        anthropic.PROVIDER.forms,
        anthropic.PROVIDER.dialect,
    )
    assert not found.custom
    assert [known.name for known in config.all_providers()] == [known.name for known in BUILTIN]
    assert found in config.all_providers()


def test_other_keys_of_a_builtin_are_replaced_when_given() -> None:
    found = provider("auth: x-api-key, paths: ['/anthropic/*']", "anthropic")
    assert found.hosts == anthropic.PROVIDER.hosts
    assert found.form_for("sk-ant-oat01").auth == Auth(header="x-api-key")
    assert spoken(found, "/anthropic/v1/messages") is Dialect.ANTHROPIC_MESSAGES
    assert spoken(found, "/v1/messages") is None


@pytest.mark.parametrize("name", [known.name for known in BUILTIN])
def test_auth_of_a_builtin_holds_on_every_path(name: str) -> None:
    found = provider("auth: {header: x-corp}", name)
    assert [(rule.auth, rule.mirror) for rule in found.paths] == [(None, False)] * len(found.paths)
    assert [(rule.pattern, rule.dialect) for rule in found.paths] == [
        (rule.pattern, rule.dialect) for known in BUILTIN if known.name == name for rule in known.paths
    ]


def test_a_provider_without_an_address_needs_one() -> None:
    account = "accounts: [{provider: azure, alias: a, credential: {env: A}%s}]"
    (found,) = errors(account % "")
    assert found.startswith("config.yaml:1: accounts[0]: base_url is missing: azure has no address of its own")
    assert parse(account % ", base_url: 'https://me.openai.azure.com'", "c").accounts
    assert parse(account % "" + "\nproviders: {azure: {hosts: [me.openai.azure.com]}}", "c").accounts


def test_accounts_may_name_the_users_providers() -> None:
    text = "accounts: [{provider: corp, alias: a, credential: {env: A}}]\nproviders: {corp: {hosts: [%s]}}"
    assert parse(text % "a.example", "c").accounts[0].name == "corp/a"
    # A mistake in the provider is told once, not again for each of its accounts.
    assert len(errors(text % "'a b'")) == 1
    assert len(errors(text.replace("hosts: [%s]", "auth: bearer"))) == 1


def test_no_providers_are_the_builtin_ones() -> None:
    assert Config().all_providers() == BUILTIN


def test_names_and_keys_of_providers_are_checked() -> None:
    found = errors("providers:\n  Corp: {hosts: [a.example]}\n  b: {}\n  c: {hosts: [], host: 1, dialect: openai}\n")
    assert found == [
        "config.yaml:2: providers.Corp: expected a provider name of a-z 0-9 . _ -",
        'config.yaml:3: providers.b: hosts is missing: expected a list of hosts, like ["llm.corp.example"]',
        "config.yaml:4: providers.c.dialect: expected one of anthropic-messages, openai-chat, openai-responses, "
        'gemini, got "openai" (did you mean openai-chat?)',
        "config.yaml:4: providers.c.host: unknown key (did you mean hosts?)",
        "config.yaml:4: providers.c.hosts: expected a list of at least 1, got a list of 0",
    ]
