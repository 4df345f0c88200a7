"""The sections `audit`, `metrics` and `notices`."""

from __future__ import annotations

from pathlib import Path

import pytest

from mitm_balancer.config import (
    Audit,
    Command,
    ConfigErrors,
    CredentialSource,
    Env,
    File,
    Keyring,
    Literal,
    Metrics,
    Notices,
    parse,
)
from mitm_balancer.config.observing import Address
from mitm_balancer.secrets import Secret

HOOK = "https://hooks.example/T0/B0/CANARY-IN-THE-PATH-OF-A-WEBHOOK"


def errors(text: str) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        parse(text, "config.yaml")
    return [str(error) for error in caught.value.errors]


def test_everything_is_read() -> None:
    config = parse(
        f"""
audit: {{to: logs/audit.ndjson, max_mb: 3, keep: 0}}
metrics: {{listen: "127.0.0.1:9464"}}
notices: {{command: [notify-send, balancer], webhook: "{HOOK}", min_interval_s: 0, timeout_s: 2.5}}
""",
        "c",
    )

    assert config.audit == Audit("logs/audit.ndjson", 3, 0)
    assert config.metrics == Metrics(Address("127.0.0.1", 9464))
    assert config.notices == Notices(("notify-send", "balancer"), Literal(Secret(HOOK)), 0.0, 2.5)
    assert "CANARY" not in repr(config)


@pytest.mark.parametrize("word", ["off", "'off'", '"off"', "false"])
def test_a_bare_off_is_no_boolean(word: str) -> None:
    """YAML 1.1 reads it as false; the user meant the word."""
    assert parse(f"audit: {{to: {word}}}", "c").audit.to == "off"


def test_empty_sections_mean_the_defaults() -> None:
    config = parse("audit:\nmetrics:\nnotices:\n", "c")

    assert (config.audit, config.metrics, config.notices) == (Audit("file", 10, 5), Metrics(), Notices())


@pytest.mark.parametrize("listen", ["localhost:1", "[::1]:9464", "127.8.9.1:65535"])
def test_loopback_needs_no_consent(listen: str) -> None:
    found = parse(f'metrics: {{listen: "{listen}"}}', "c").metrics.listen

    assert found is not None and str(found) == listen


def test_other_addresses_need_consent() -> None:
    (error,) = errors('metrics: {listen: "0.0.0.0:9464"}')

    assert "config.yaml:1" in error and "allow_remote: true" in error
    assert parse('metrics: {listen: "0.0.0.0:9464", allow_remote: true}', "c").metrics.listen == Address(
        "0.0.0.0", 9464
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("audit: {to: [1]}", "audit.to: expected"),
        ("audit: {to: true}", "audit.to: expected file, stdout, off or a path"),
        ("audit: {max_mb: 0}", "audit.max_mb: expected a whole number from 1 to 10000"),
        ("audit: {file: x}", "audit.file: unknown key"),
        ("metrics: {listen: 9464}", "metrics.listen: expected a string"),
        ("metrics: {listen: '9464'}", "metrics.listen: expected an address and a port"),
        ("metrics: {listen: '127.0.0.1'}", "metrics.listen: expected an address and a port"),
        ("metrics: {listen: '127.0.0.1:99999'}", "metrics.listen: expected an address and a port"),
        ("metrics: {listen: 'http://127.0.0.1:1'}", "metrics.listen: expected an address and a port"),
        ("metrics: {listen: 'metrics.example:1'}", "metrics.listen: expected an address and a port"),
        ("notices: {command: notify-send}", "notices.command: expected a list"),
        ("notices: {webhook: 'http://hooks.example/x'}", "notices.webhook: expected https://"),
        ("notices: {webhook: 'ftp://hooks.example/x'}", "notices.webhook: expected an https:// URL"),
        ("notices: {webhook: {url: x}}", "notices.webhook: expected exactly one key of env, file"),
        ("notices: {webhook: {env: 'no name'}}", "notices.webhook: expected the name of an environment variable"),
        ("notices: {timeout_s: 0}", "notices.timeout_s: expected a number from 0.1 to 300"),
    ],
)
def test_mistakes_are_told_with_their_place(text: str, told: str) -> None:
    (error,) = errors(text)

    assert error.startswith("config.yaml:1") and told in error


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("{env: HOOK}", Env("HOOK")),
        ("{file: hook.txt}", File(Path("/etc/b/hook.txt"))),
        ("{command: pass show hook}", Command(("pass", "show", "hook"))),
        ("{keyring: hook}", Keyring("hook")),
    ],
)
def test_a_webhook_may_be_kept_where_credentials_are(text: str, source: CredentialSource) -> None:
    assert parse(f"notices: {{webhook: {text}}}", "/etc/b/config.yaml").notices.webhook == source


def test_a_bad_webhook_is_not_quoted() -> None:
    (error,) = errors(f'notices: {{webhook: "{HOOK.replace("https", "http")}"}}')

    assert "CANARY" not in error
