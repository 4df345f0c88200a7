"""The CLI's parts that start nothing: text, environment, certificates, hints."""

import json
import shutil
import ssl
import stat
import subprocess
from pathlib import Path

import certifi
import pytest

from mitm_balancer.cli import clientenv, shells
from mitm_balancer.cli.cabundle import write_bundle
from mitm_balancer.cli.greeting import greeting
from mitm_balancer.cli.hints import hint
from mitm_balancer.cli.main import VERBS, main
from mitm_balancer.cli.output import table
from mitm_balancer.config import parse
from mitm_balancer.core.durations import countdown
from mitm_balancer.testing import make_ca

CA, BUNDLE = Path("/home of/x/ca.pem"), Path("/home of/x/bundle.pem")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"),
        (0.2, "1 s"),
        (89, "89 s"),
        (91, "2 min"),
        (90 * 60, "1 h 30 min"),
        (3 * 3600 + 61, "3 h 02 min"),
        (49 * 3600, "2 d 01 h"),
    ],
)
def test_a_countdown_never_promises_less_than_the_wait(seconds: float, text: str) -> None:
    assert countdown(seconds) == text


def test_no_table_line_is_longer_than_the_terminal() -> None:
    head, *rest = table([("ACCOUNT", "DETAIL"), ("anthropic/work", "word " * 40)])

    assert max(map(len, rest)) <= 80
    assert {line.index("word") for line in rest} == {head.index("DETAIL")}
    assert " ".join(rest).split().count("word") == 40


def test_every_known_variable_is_set() -> None:
    found = clientenv.variables("http://127.0.0.1:1", CA, BUNDLE, {})

    assert {found[name] for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")} == {
        "http://127.0.0.1:1"
    }
    for name in ("SSL_CERT_FILE", "CODEX_CA_CERTIFICATE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"):
        assert found[name] == str(BUNDLE)
    assert found["NODE_EXTRA_CA_CERTS"] == str(CA)
    assert found["NODE_USE_ENV_PROXY"] == "1"
    assert not {"ALL_PROXY", "all_proxy"} & found.keys()


def test_hosts_that_were_excluded_stay_so() -> None:
    found = clientenv.variables("http://127.0.0.1:1", CA, BUNDLE, {"no_proxy": "corp.example, localhost"})

    assert found["NO_PROXY"] == found["no_proxy"] == "corp.example,localhost,127.0.0.1,::1"


def test_extra_roots_of_the_user_are_not_lost_to_node() -> None:
    found = clientenv.variables("http://127.0.0.1:1", CA, BUNDLE, {"NODE_EXTRA_CA_CERTS": "/corp.pem"})

    assert found["NODE_EXTRA_CA_CERTS"] == str(BUNDLE)


def test_a_proxy_of_ours_does_not_go_out_through_another_balancer() -> None:
    mine = clientenv.variables("http://127.0.0.1:1", CA, BUNDLE, {})

    left = clientenv.without_ourselves({**mine, "http_proxy": "http://corp:3128", "PATH": "/bin"})

    assert left["http_proxy"] == "http://corp:3128"
    assert left["PATH"] == "/bin"
    assert not {"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "BALANCER_PROXY"} & left.keys()


@pytest.mark.parametrize("shell", ["sh", "fish"])
def test_export_lines_mean_exactly_their_value(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    value = "a b'c\\d$HOME\"e`f`"

    script = "\n".join([*shells.lines({"BALANCER_TEST": value}, shell), "printenv BALANCER_TEST"])
    done = subprocess.run([shell, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == value + "\n"


def test_powershell_lines_are_quoted() -> None:
    assert shells.lines({"A": "it's"}, "powershell") == ["$env:A = 'it''s'"]


def test_the_bundle_trusts_the_proxy_the_world_and_what_the_user_trusted(tmp_path: Path) -> None:
    ours, corp = make_ca(tmp_path / "ours"), make_ca(tmp_path / "corp")

    bundle = write_bundle(tmp_path, ours.cert_path, {"SSL_CERT_FILE": str(corp.cert_path), "CURL_CA_BUNDLE": "/gone"})

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(bundle)
    trusted = set(context.get_ca_certs(binary_form=True))
    for expected in (ours.cert_path, corp.cert_path, Path(certifi.where())):
        one = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        one.load_verify_locations(expected)
        assert set(one.get_ca_certs(binary_form=True)) <= trusted
    assert bundle.read_text().count("BEGIN CERTIFICATE") == len(trusted)


def test_the_bundle_is_private_and_rewritten_only_when_it_changes(tmp_path: Path) -> None:
    ca = make_ca(tmp_path / "ours").cert_path
    bundle = write_bundle(tmp_path, ca, {})
    before = bundle.stat()

    write_bundle(tmp_path, ca, {"SSL_CERT_FILE": str(bundle)})

    assert stat.S_IMODE(before.st_mode) == 0o600
    assert bundle.stat().st_ino == before.st_ino
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ca-bundle.pem", "ours"]


def test_hints_name_an_agent_that_has_no_key_and_only_that(tmp_path: Path) -> None:
    assert "ANTHROPIC_API_KEY=placeholder" in (hint("claude", {}, tmp_path, "linux") or "")
    assert hint("claude", {"ANTHROPIC_API_KEY": "x"}, tmp_path, "linux") is None
    assert hint("claude", {}, tmp_path, "darwin") is None
    assert hint("vim", {}, tmp_path) is None
    assert "codex login" in (hint("codex", {}, tmp_path) or "")  # seen: with a key it asks another host

    (tmp_path / ".codex").mkdir()
    (tmp_path / ".codex/auth.json").touch()
    assert hint("codex", {}, tmp_path) is None


def test_the_greeting_repeats_the_home_that_was_named(tmp_path: Path) -> None:
    config = parse("version: 1\naccounts:\n- {provider: anthropic, alias: a, credential: k}\n", "c.yaml")

    lines = "\n".join(greeting("http://127.0.0.1:8080", tmp_path, config, tmp_path / "c.yaml", ["--home", "/a b"]))

    assert "--home '/a b' exec -- claude" in lines
    assert "1: anthropic/a" in lines


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])

    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("balancer 0.")


def test_help_names_every_verb_and_each_verb_has_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    overview = capsys.readouterr().out

    for verb in VERBS:
        assert f"\n    {verb} " in overview
        with pytest.raises(SystemExit) as ended:
            main([verb, "--help"])
        assert ended.value.code == 0
        assert f"usage: balancer {verb}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [["nonsense"], ["run", "--nonsense"], ["status", "--", "x"], ["exec"], ["exec", "--"]]
)
def test_usage_errors_exit_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(words)
    except SystemExit as e:
        code = int(e.code or 0)

    assert code == 2
    assert capsys.readouterr().err


@pytest.mark.parametrize("words", [["--home", "{}", "status", "--json"], ["status", "--json", "--home", "{}"]])
def test_the_home_may_be_named_before_or_after_the_verb(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BALANCER_HOME", "/elsewhere")

    assert main([word.format(tmp_path) for word in words]) == 0

    assert json.loads(capsys.readouterr().out)["home"] == str(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["why", "last", "--json"], 1, "no request is known"),
        (["pause", "nobody", "--json"], 1, "nobody"),
        (["env", "--json"], 1, "no proxy runs"),
        (["accounts", "use", "nobody", "--json"], 1, "balancer accounts add"),
        (["usage", "nobody", "--json"], 1, "balancer accounts add"),
        (["accounts", "remove", "nobody", "--json"], 1, "balancer accounts add"),
        (["status", "--json", "--config", "nowhere.yaml"], 1, "there is no such file"),
        (["events", "--decisions", "--json"], 1, "audit.ndjson"),
        (["why", "--json"], 2, "REQUEST"),
        (["priority", "strategy", "fastest", "--json"], 2, "fastest"),
        (["nonsense", "--json"], 2, "nonsense"),
        (["accounts", "capture", "--minutes", "x", "--json"], 2, "expected minutes from 1 to 1440, got x"),
        (["accounts", "set", "a", "--priority", "9" * 30, "--json"], 2, "from -1000000 to 1000000"),
        (["accounts", "set", "a", "--weight", "0", "--json"], 2, "expected a number above 0, got 0"),
        (["accounts", "set", "a", "--concurrency-limit", "x", "--json"], 2, "expected a whole number of at least 1"),
        (["events", "-n", "x", "--json"], 2, "expected a whole number of at least 0, got x"),
        (["events", "--type", "x", "--json"], 2, "'account_activated'"),
    ],
)
def test_what_fails_with_json_says_so_in_json(
    words: list[str], code: int, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        ended = main(["--home", str(tmp_path / "home"), *words])
    except SystemExit as e:
        ended = int(e.code or 0)

    said = capsys.readouterr()
    assert ended == code
    assert text in json.loads(said.out)["error"]
    assert said.out.count("\n") == 1
    assert text in said.err
