"""Reading a configuration: what it gives, and how it tells what is wrong."""

import dataclasses
from pathlib import Path

import pytest

from mitm_balancer.config import (
    AccountSpec,
    Backoff,
    BaseUrl,
    Command,
    Config,
    ConfigErrors,
    Env,
    File,
    Keyring,
    Literal,
    MatrixEntry,
    Pin,
    Policy,
    load,
    parse,
)
from mitm_balancer.secrets import Secret


def errors(text: str) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        parse(text, "config.yaml")
    return [str(error) for error in caught.value.errors]


def account(line: str) -> AccountSpec:
    return parse(f"accounts: [{{provider: anthropic, alias: a, credential: {{env: A}}, {line}}}]", "c").accounts[0]


@pytest.mark.parametrize("text", ["", "# nothing\n", "version: 1", "accounts:\npolicy:\npriority:\nproviders:\n"])
def test_an_empty_file_means_the_defaults(text: str) -> None:
    assert parse(text, "c") == Config()


def test_an_account_with_everything() -> None:
    config = parse(
        """
accounts:
  - provider: anthropic
    alias: work.1_a-b
    credential: {env: WORK_KEY}
    base_url: https://GW.example:8443/team/a/
    priority: -2
    weight: 0.5
    models: [claude-*, "*-haiku"]
    concurrency_limit: 2
    enabled: false
    policy_tags: [eu]
""",
        "c",
    )
    (found,) = config.accounts
    assert found == AccountSpec(
        provider="anthropic",
        alias="work.1_a-b",
        credential=Env("WORK_KEY"),
        base_url=BaseUrl("https", "gw.example", 8443, "/team/a"),
        priority=-2,
        weight=0.5,
        models=("claude-*", "*-haiku"),
        concurrency_limit=2,
        enabled=False,
        policy_tags=("eu",),
    )
    assert found.name == "anthropic/work.1_a-b"
    assert found.line == 3
    assert str(found.base_url) == "https://gw.example:8443/team/a"


def test_credential_sources(tmp_path: Path) -> None:
    def source(text: str) -> object:
        entry = f"accounts: [{{provider: openai, alias: a, credential: {text}}}]"
        return parse(entry, str(tmp_path / "config.yaml")).accounts[0].credential

    assert source("'sk-literal'") == Literal(Secret("sk-literal"))
    assert source("{file: keys/one}") == File(tmp_path / "keys/one")
    assert source("{file: /abs}") == File(Path("/abs"))
    assert source("{file: ~/k}") == File(Path.home() / "k")
    assert source("{command: \"op read 'a b'\"}") == Command(("op", "read", "a b"))
    assert source("{keyring: work}") == Keyring("work")


def test_policy_is_merged_over_the_defaults() -> None:
    text = "policy: {backoff: {base_ms: 1}, first_token_timeout_ms: 0, retry_ambiguous: false, resume: replay}"
    policy = parse(text, "c").policy
    expected = Policy(backoff=Backoff(base_ms=1), first_token_timeout_ms=0, retry_ambiguous=False, resume="replay")
    assert policy == expected
    assert parse("policy: {first_token_timeout_ms: auto}", "c").policy.first_token_timeout_ms is None


def test_the_matrix() -> None:
    text = """\
priority:
  strategy: drain
  across: stay
  providers:
    - {provider: openai}
    - {provider: zai, model: glm-4.6, enabled: false}
    - {provider: kimi, model: {"*haiku*": k1, "*": k2}}
"""
    priority = parse(text, "c").priority
    assert (priority.strategy, priority.across) == ("drain", "stay")
    assert priority.providers == (
        MatrixEntry("openai"),
        MatrixEntry("zai", "glm-4.6", False),
        MatrixEntry("kimi", (("*haiku*", "k1"), ("*", "k2"))),
    )
    assert errors("priority: {providers: [{provider: openai}, {provider: openai, model: x}]}") == [
        "config.yaml:1: priority.providers[1]: this provider stands in the list twice"
    ]
    assert errors("priority: {providers: [{provider: openai, model: {}}]}") == [
        "config.yaml:1: priority.providers[0].model: expected a model, null, or {GLOB: MODEL, ...}"
    ]


def test_pins() -> None:
    text = "priority: {pins: [{model: 'claude-opus-*', account: anthropic/work}, {session: s-1, account: zai/a}]}"
    assert parse(text, "c").priority.pins == (Pin("anthropic/work", "claude-opus-*"), Pin("zai/a", "", "s-1"))
    assert errors("priority: {pins: [{account: anthropic/work}]}") == [
        "config.yaml:1: priority.pins[0]: expected model: GLOB or session: ID: what is tied to this account"
    ]
    assert errors("priority: {pins: [{account: work, model: x}]}") == [
        'config.yaml:1: priority.pins[0].account: expected an account as provider/alias, got "work"'
    ]


@pytest.mark.parametrize(("text", "percent"), [("", 95), ("80", 80), ("0", 0), ("null", 0), ("99.5", 99.5)])
def test_leave_before_empty_can_be_moved_and_switched_off(text: str, percent: float) -> None:
    """In percent used."""
    given = f"leave_at: {text}" if text else ""
    assert parse(f"priority: {{strategy: drain, {given}}}", "c").priority.leave_at == percent


def test_all_mistakes_are_told_at_once_in_the_order_of_their_lines() -> None:
    found = errors(
        """\
policy: {backof: {}}
balancing: maybe
accounts:
  - provider: anthropic
    alias: Work Key
    credential: {env: A}
    models: []
  - {provider: anthropc, alias: b, credential: {env: B}}
  - {alias: c, alias: d}
verson: 1
"""
    )
    assert found == [
        "config.yaml:1: policy.backof: unknown key (did you mean backoff?)",
        'config.yaml:2: balancing: expected true or false, got "maybe"',
        'config.yaml:5: accounts[0].alias: expected a-z 0-9 . _ -, got "Work Key"',
        "config.yaml:7: accounts[0].models: expected a list of at least 1, got a list of 0",
        'config.yaml:8: accounts[1].provider: expected a known provider, got "anthropc" (did you mean anthropic?)',
        "config.yaml:9: accounts[2]: credential is missing: expected a string, or one of {env: NAME}, {file: PATH}, "
        "{command: ...}, {keyring: NAME}",
        "config.yaml:9: accounts[2]: provider is missing: expected the name of a provider",
        "config.yaml:9: accounts[2].alias: this key occurs twice, first in line 9",
        "config.yaml:10: verson: unknown key (did you mean version?)",
    ]


def test_two_accounts_may_not_share_a_name() -> None:
    entry = "  - {provider: %s, alias: a, credential: {env: A}}\n"
    assert errors("accounts:\n" + entry % "openai" + entry % "gemini" + entry % "openai") == [
        "config.yaml:4: accounts[2]: the account openai/a is declared twice, first in line 2"
    ]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("weight: 0", "weight: expected a number above 0, got 0"),
        ("weight: .inf", "weight: expected a number above 0, got .inf"),
        ("weight: true", "weight: expected a number above 0, got true"),
        ("weight: '1'", 'weight: expected a number above 0, got "1"'),
        ("concurrency_limit: 0", "concurrency_limit: expected a whole number of at least 1, got 0"),
        ("concurrency_limit: 1.5", "concurrency_limit: expected a whole number of at least 1, got 1.5"),
        ("concurrency_limit: yes", "concurrency_limit: expected a whole number of at least 1, got yes"),
        ("enabled: 1", "enabled: expected true or false, got 1"),
        ("models: claude-*", 'models: expected a list, got "claude-*"'),
        ("models: [1]", "models[0]: expected a string, got 1 (put it in quotes)"),
        ("policy_tags: [[]]", "policy_tags[0]: expected a single value, got a list of 0"),
        ("priority: !!int x", "priority: this YAML tag or value is not understood"),
        ("priority:", "priority: expected a whole number from -1000000 to 1000000, got nothing"),
    ],
)
def test_values_of_accounts_are_checked(line: str, complaint: str) -> None:
    (found,) = errors(f"accounts: [{{provider: openai, alias: a, credential: {{env: A}}, {line}}}]")
    assert found == f"config.yaml:1: accounts[0].{complaint}"


@pytest.mark.parametrize(
    "setting",
    [
        "deadline_ms: -1",
        "deadline_ms: 2147483648",
        "deadline_ms: 1.0",
        "deadline_ms: auto",
        "first_token_timeout_ms: aut",
        "backoff: {multiplier: 0.5}",
        "backoff: {jitter: half}",
        "backoff: {base_ms: 9000}",
        "backoff: 3",
        "circuit_breaker: {failure_rate_threshold: 1.01}",
        "circuit_breaker: {half_open_max_probes: 0}",
        "routing_weights: {health: -1}",
        "concurrency_limit: 0",
        "max_attempts: 0",
        "retry_budget: -1",
        "replay_limit: -1",
        "resume: maybe",
        "retry_ambiguous: 'true'",
    ],
)
def test_values_of_the_policy_are_checked(setting: str) -> None:
    (found,) = errors(f"policy: {{{setting}}}")
    assert found.startswith(f"config.yaml:1: policy.{setting.partition(':')[0]}")
    assert ": expected " in found


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Policy)])
def test_no_policy_key_takes_a_list(field: str) -> None:
    (found,) = errors(f"policy: {{{field}: [1]}}")
    assert f"policy.{field}: expected" in found


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [", 1),
        ("\n\na: *nowhere", 3),
        ("version: 1\n\tx: 2", 2),
        ("version: 1\n---\nversion: 1", 2),
        ("a: b: c", 1),
        ("version: 1\na: \x07", 2),
        ("[" * 5000, 1),
    ],
)
def test_syntax_errors_have_a_line(text: str, line: int) -> None:
    (found,) = errors(text)
    assert found.startswith(f"config.yaml:{line}: not YAML: ")


def test_the_document_is_a_mapping_of_version_1() -> None:
    assert errors("- 1") == ["config.yaml:1: expected a mapping (key: value), got a list of 1"]
    assert errors("version: 2") == ["config.yaml:1: version: expected a whole number from 1 to 1, got 2"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://gw.example", BaseUrl("https", "gw.example", 443)),
        ("http://127.3.0.1:80/", BaseUrl("http", "127.3.0.1", 80)),
        ("http://localhost:9/v1", BaseUrl("http", "localhost", 9, "/v1")),
        ("http://[::1]:9", BaseUrl("http", "::1", 9)),
    ],
)
def test_base_urls(url: str, expected: BaseUrl) -> None:
    assert account(f"base_url: '{url}'").base_url == expected


@pytest.mark.parametrize(
    "url",
    [
        "http://gw.example",
        "http://10.0.0.1",
        "http://localhost.example",
        "http://127.0.0.1.example",
        "http://2130706433/",
        "ftp://gw.example",
        "gw.example",
        "https://",
        "https://u:PLANTED@gw.example",
        "https://gw.example/?key=PLANTED",
        "https://gw.example/#x",
        "https://gw.example:0",
        "https://gw.example:99999",
        "https://gw.example/a b",
        "https://gw_.-.example",
        "https://1.2.3",
        "https://[::1",
    ],
)
def test_credentials_travel_only_over_verified_tls(url: str) -> None:
    (found,) = errors(f"accounts: [{{provider: openai, alias: a, credential: {{env: A}}, base_url: '{url}'}}]")
    assert found.startswith("config.yaml:1: accounts[0].base_url: expected ")
    assert "PLANTED" not in found


CANARY = "sk-ant-api03-PLANTED-0123456789abcdef"


@pytest.mark.parametrize(
    "text",
    [
        f"accounts: [{{provider: openai, alias: a, credential: {{env: {CANARY}}}}}]",
        f"accounts: [{{provider: openai, alias: a, credential: {{{CANARY}}}}}]",
        f"accounts: [{{provider: openai, alias: a, credential: {{key: {CANARY}}}}}]",
        f"accounts: [{{provider: openai, alias: a, credential: {{env: A, file: {CANARY}}}}}]",
        f"accounts: [{{provider: openai, alias: a, credential: [{CANARY}]}}]",
        f'accounts: [{{provider: openai, alias: a, credential: {{command: "\'{CANARY}"}}}}]',
        f"accounts: [{{provider: openai, alias: a, credential: *{CANARY}}}]",
        f"accounts: [{{provider: openai, alias: a, credential: !{CANARY} x}}]",
        f"accounts: [{{provider: openai, alias: a, credential: &a {CANARY}, weight: *a}}]",
        f"accounts: [{{provider: openai, alias: a, {CANARY}: 1, credential: {{env: A}}}}]",
        f"accounts: [{{provider: {CANARY}, alias: {CANARY}, credential: {{env: A}}, models: {CANARY}}}]",
        f"accounts: [{CANARY}]",
        f"providers: {{{CANARY}: {{hosts: [a.example]}}}}",
        f"providers: {{x: {{hosts: [{CANARY}/], auth: {CANARY}}}}}",
        f"accounts:\n  - credential: {CANARY}\n  bad",
        f"accounts:\n  - credential: '{CANARY}",
    ],
)
def test_no_error_shows_a_credential(text: str) -> None:
    assert "PLANTED" not in "\n".join(errors(text))


@pytest.mark.parametrize("odd", ["sk-1234", "0123456789abcdef0123456789"])
def test_what_may_be_a_credential_is_not_quoted_back(odd: str) -> None:
    (found,) = errors(f"accounts: [{{provider: openai, alias: '{odd} ', credential: {{env: A}}}}]")
    assert found == f'config.yaml:1: accounts[0].alias: expected a-z 0-9 . _ -, got "({len(odd) + 1} characters)"'
    (found,) = errors(f"{odd}: 1")
    assert odd not in found


def test_no_repr_shows_a_credential() -> None:
    command = f"accounts: [{{provider: openai, alias: a, credential: {{command: 'echo {CANARY}'}}}}]"
    literal = f"accounts: [{{provider: openai, alias: a, credential: {CANARY}}}]"
    for text in (command, literal):
        config = parse(text, "c")
        assert "PLANTED" not in f"{config!r} {config} {config.accounts[0].credential}"


def test_loading_a_file(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("balancing: false")
    assert load(path) == Config(balancing=False, source=path)
    assert load(None) == Config()
    path.write_bytes(b"version: 1\n\xff")
    with pytest.raises(ConfigErrors, match=r"config\.yaml:2: expected UTF-8"):
        load(path)
    with pytest.raises(ConfigErrors, match="cannot be read: Is a directory"):
        load(tmp_path)


def test_only_a_named_file_must_exist(tmp_path: Path) -> None:
    assert load(tmp_path / "none", required=False) == Config()
    with pytest.raises(ConfigErrors, match="none: there is no such file"):
        load(tmp_path / "none")
