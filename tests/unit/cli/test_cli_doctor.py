"""`balancer doctor`: the verb, the machine, the CA; each finding names its cure."""

from __future__ import annotations

import datetime
import json
import socket
from pathlib import Path

import pytest
from doctor_bench import KEY, found, laid_out, with_, worst

from mitm_balancer.cli.bus import Proxy
from mitm_balancer.cli.cabundle import CA_NAME
from mitm_balancer.cli.doctor import checks, machine
from mitm_balancer.cli.doctor.authority import authority
from mitm_balancer.cli.doctor.model import Bench, Findings, Level, ok
from mitm_balancer.cli.doctor_verb import lines
from mitm_balancer.cli.main import main


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return laid_out(tmp_path)


def test_all_is_well(bench: Bench) -> None:
    findings = list(checks.run(bench))
    assert {finding.level for finding in findings} == {Level.OK}
    assert lines(findings)[-1] == "All is well."


def test_a_check_that_breaks_costs_its_own_findings_only(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Bench) -> Findings:
        yield ok("first", "x")
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(checks, "CHECKS", (broken, checks.python))
    first, failed, python = checks.run(bench)
    assert (first.subject, python.subject) == ("first", "python")
    assert failed.text == "this check failed: ZeroDivisionError: oh"


# -- the machine ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "fits"),
    [("12.2", True), ("12.2.3", True), ("12.3.9", True), ("12.4", False), ("12.1.9", False), ("13.0.0.dev", False)],
)
def test_versions_of_mitmproxy(version: str, fits: bool) -> None:
    assert machine.fits(version, ">=12.2,<12.4") is fits


def test_the_range_is_that_of_the_package() -> None:
    text = (Path(__file__).parents[3] / "pyproject.toml").read_text()
    assert f'"mitmproxy{machine.MITMPROXY}"' in text
    assert machine.wanted_mitmproxy() == machine.MITMPROXY


def test_another_mitmproxy_and_an_old_python_fail(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mitm_balancer.cli.doctor.machine.metadata.version", lambda _: "11.0.2")
    assert worst(machine.mitmproxy, bench) == "fail"
    monkeypatch.setattr("mitm_balancer.cli.doctor.machine.PYTHON", (99, 0))
    assert worst(machine.python, bench) == "fail"


def test_the_port(bench: Bench) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        ((level, text),) = found(machine.port, with_(bench, port=taken.getsockname()[1]))
    assert (level, "cannot be used" in text) == ("warn", True)
    proxy = Proxy(42, "127.0.0.1", 8081, Path("/ca"))
    ((level, text),) = found(machine.port, with_(bench, proxy=proxy))
    assert (level, text) == ("ok", "a proxy of this home listens on http://127.0.0.1:8081 (pid 42)")


# -- the CA -----------------------------------------------------------------------------------------------------------


def certificate(path: Path, days: int) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    built = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    built = built.not_valid_before(now - datetime.timedelta(days=400))
    signed = built.not_valid_after(now + datetime.timedelta(days=days, hours=1)).sign(key, hashes.SHA256())
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))


@pytest.mark.parametrize(("days", "level"), [(-1, "fail"), (10, "warn"), (3650, "ok")])
def test_the_ca_ends(bench: Bench, days: int, level: str) -> None:
    assert worst(authority, bench) == "ok", "none yet"
    certificate(bench.home / CA_NAME, days)
    assert worst(authority, bench) == level


def test_a_ca_that_is_none_and_a_key_that_is_open(bench: Bench) -> None:
    (bench.home / CA_NAME).write_text("x")
    assert worst(authority, bench) == "fail"
    certificate(bench.home / CA_NAME, 3650)
    (bench.home / "mitmproxy-ca.pem").touch(mode=0o644)
    assert worst(authority, bench) == "fail"


def test_who_trusts_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    ca = bench.home / CA_NAME
    certificate(ca, 3650)
    bundle = bench.home / "bundle.pem"
    bundle.write_text(f"# roots\n{ca.read_text()}")

    def trust(**environ: str) -> tuple[str, str]:
        return found(authority, with_(bench, environ=environ))[-1]

    assert trust()[0] == "ok"
    assert "exec" in trust()[1]
    marked = {"BALANCER_PROXY": "http://127.0.0.1:1"}
    level, text = trust(**marked, SSL_CERT_FILE=str(bundle))
    assert (level, text.rpartition(": ")[2]) == ("warn", "Gemini CLI")
    assert trust(**marked, SSL_CERT_FILE=str(bundle), NODE_EXTRA_CA_CERTS=str(ca))[0] == "ok"
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    assert trust(**marked)[0] == "warn", "this shell's own variable is not the system"
    level, text = trust(**marked, SSL_CERT_FILE=str(bundle), NODE_EXTRA_CA_CERTS=str(ca), CODEX_CA_CERTIFICATE="/none")
    assert (level, text.rpartition(": ")[2]) == ("warn", "Codex"), "its own variable comes first"


# -- the verb ---------------------------------------------------------------------------------------------------------


def test_the_verb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "home"
    monkeypatch.setenv("BALANCER_HOME", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("BALANCER_CONFIG", raising=False)
    assert main(["doctor", "-p", "0"]) == 0
    assert not folder.exists(), "looking makes no home"
    capsys.readouterr()
    folder.mkdir(mode=0o700)
    (folder / "config.yaml").write_text(
        f"accounts:\n- {{provider: anthropic, alias: work, credential: {KEY}}}\n"
        "- {provider: groq, alias: g, credential: {env: NOPE}}\n"
    )
    assert main(["doctor", "-p", "0"]) == 0, "warnings are no failure"
    out = capsys.readouterr().out
    assert "groq/g: environment variable NOPE is not set" in out
    assert KEY not in out
    assert max(len(line) for line in out.splitlines() if str(tmp_path) not in line) <= 80
    (folder / "config.yaml").write_text("nonsense: 1")
    assert main(["doctor", "--json", "-p", "0"]) == 1
    data = json.loads(capsys.readouterr().out)
    (config,) = [finding for finding in data["findings"] if finding["subject"] == "config"]
    assert (data["version"], data["ok"], config["level"]) == (1, False, "fail")
    assert "nonsense" in config["text"]
