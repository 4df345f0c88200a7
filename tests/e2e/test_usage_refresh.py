"""`balancer usage --refresh`: a running proxy asks, or the command does; what a poll told is shown and kept."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import Launch
from e2e.connectproxy import connect_proxy
from e2e.harness import BIN, account, bare_environment, config, start_proxy
from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.model import AccountSettings, Credential
from mitm_balancer.accounts.vault import Vault
from mitm_balancer.secrets import Secret
from mitm_balancer.store import Store
from mitm_balancer.testing import CA, FakeProvider, steps
from mitm_balancer.testing.ledger import Record
from mitm_balancer.testing.tokens import TokenEndpoint

CANARY = "sk-or-v1-canary-0123456789"
PATH = "/api/v1/key"


async def _usage(home: Path, *words: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(str(BIN / "balancer"), "--home", str(home), "usage", *words),
        env=bare_environment(home.parent),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def _serve(fake: FakeProvider, left: float) -> None:
    data = {"data": {"limit": 10, "limit_remaining": left, "label": f"of {CANARY}"}}
    fake.route("GET", PATH, steps.status(200, json.dumps(data)))
    fake.route("GET", "/api/v1/credits", steps.status(403, "{}"))


def _accounts(fake: FakeProvider) -> list[dict[str, Any]]:
    return [account("openrouter", "main", CANARY, fake), account("groq", "g", "gsk_canary", fake)]


def _account(text: str, name: str = "openrouter/main") -> dict[str, Any]:
    found: dict[str, Any] = next(entry for entry in json.loads(text)["accounts"] if entry["name"] == name)
    return found


def _asked(fake: FakeProvider) -> int:
    return sum(record.target == PATH for record in fake.ledger.records)


async def test_a_running_proxy_asks_and_keeps_it(fake: FakeProvider, launch: Launch) -> None:
    _serve(fake, 2.5)
    proxy = await launch(config(*_accounts(fake)))
    assert _asked(fake) == 0, "an account with its own base_url is asked only when somebody wants it"
    code, out, err = await _usage(proxy.home, "--refresh", "--json")
    assert not err, err
    assert (code, json.loads(out)["refresh"]["by"]) == (0, "proxy")
    assert "No usage service registered for groq" in json.loads(out)["refresh"]["not_asked"]["groq/g"]
    main = _account(out)
    assert main["poll"]["confidence"] == "exact", main["poll"]
    assert (main["used_percent"], main["windows"][0]["source"]) == (75.0, "poll")
    assert _asked(fake) == 1

    code, out, err = await _usage(proxy.home, "main", "--refresh")
    assert (code, _asked(fake)) == (0, 1)
    assert "it was asked just now" in err
    assert "key-limit             ██████░░ 75%" in out
    assert CANARY not in out + err + proxy.output
    await proxy.stop()
    for file in proxy.home.iterdir():
        if file.name.startswith("balancer.sqlite"):
            assert CANARY.encode() not in file.read_bytes()


async def test_without_a_proxy_the_command_asks_itself(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with FakeProvider({CANARY: "main"}, ca=None) as fake:
        _serve(fake, 1.0)
        home.mkdir(mode=0o700)
        (home / "config.yaml").write_text(config(*_accounts(fake)))
        (home / "config.yaml").chmod(0o600)
        code, out, err = await _usage(home, "--refresh", "--json")
        assert (code, json.loads(out)["refresh"]["by"]) == (0, "cli"), err
        assert _account(out)["used_percent"] == 90.0

        fake.route("GET", PATH, steps.status(500, "{}"))
        code, out, err = await _usage(home, "--refresh", "openrouter/main", "--json")
        assert "it was asked just now" in json.loads(out)["refresh"]["not_asked"]["openrouter/main"]
        code, out, _ = await _usage(home, "--json")
        assert (_account(out)["used_percent"], _asked(fake)) == (90.0, 1)


async def test_without_a_proxy_a_login_that_has_ended_is_renewed_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One refresh, the new pair is on disk, and the poll goes out with the new token; nothing shows either."""
    monkeypatch.setenv("BALANCER_VAULT", "file")
    home = tmp_path / "home"
    async with FakeProvider({}, ca=None) as fake:
        tokens = TokenEndpoint(fake)
        given = tokens.login("work")
        tokens.end_access("work")
        store = Store.open(home)
        book = AccountBook(store, Vault.open(home))
        credential = Credential(
            "oauth", Secret(given.access), Secret(given.refresh), time.time() - 60, extra={"token_url": tokens.url}
        )
        book.save("codex", "work", credential, "login", AccountSettings(base_url=fake.url))
        store.close()

        def usage(record: Record) -> steps.Step:
            if record.label != "work":
                return steps.unauthorized()
            data = {"plan_type": "plus", "rate_limit": {"primary_window": {"used_percent": 24}}}
            return steps.status(200, json.dumps(data))

        fake.route("GET", "/backend-api/wham/usage", usage)
        code, out, err = await _usage(home, "--refresh", "--json")
        assert code == 0, err
        assert _account(out, "codex/work")["poll"]["message"] == "OpenAI ChatGPT usage fetched."
        assert (_account(out, "codex/work")["plan"], _account(out, "codex/work")["used_percent"]) == (
            "ChatGPT Plus",
            24.0,
        )
        assert tokens.reuses == 0
        store = Store.open(home)
        found = AccountBook(store, Vault.open(home)).find("codex/work")
        store.close()
        assert found is not None
        assert found.generation == 2
        for secret in (given.access, given.refresh):
            assert secret not in out + err


async def test_a_proxy_asks_by_itself_at_its_start_and_not_again_soon(tmp_path: Path, fake_ca: CA) -> None:
    """Over the operator's own proxy and real TLS, under the provider's own name; a restart remembers."""
    names = ("openrouter.ai", "api.anthropic.com")
    async with FakeProvider({CANARY: "main"}, ca=fake_ca, names=names) as fake, connect_proxy(fake.port) as way_out:
        _serve(fake, 2.5)
        text = config(
            account("openrouter", "main", CANARY),
            account("openrouter", "off", CANARY, enabled=False),
            account("anthropic", "key", "sk-ant-api03-canary"),
            usage={"poll": True, "every_s": 60},
        )
        options = {"fake": fake, "env": {"HTTPS_PROXY": way_out.url}}
        async with start_proxy(tmp_path, text, **options) as proxy:
            await fake.until(lambda: _asked(fake) == 1, 20)
            deadline = time.monotonic() + 20
            while not (shown := _account((await _usage(proxy.home, "--json"))[1]))["windows"]:
                assert time.monotonic() < deadline, shown
            assert (shown["used_percent"], shown["windows"][0]["source"]) == (75.0, "poll")
        async with start_proxy(tmp_path, None, **options) as proxy:
            await asyncio.sleep(5)
            assert _asked(fake) == 1, "asked less than a minute ago"
        # A key of Anthropic's has no place to ask at.
        assert {head.split(" ")[1] for head in way_out.heads} == {"openrouter.ai:443"}
        assert all(CANARY not in head for head in way_out.heads)
        assert CANARY not in proxy.output
