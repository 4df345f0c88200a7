"""Credentials of declared accounts: what one of them has wrong is nobody else's trouble."""

from __future__ import annotations

from pathlib import Path

from mitm_balancer.config import parse
from mitm_balancer.running.declared import Declared


def config(credential: str, more: str = "") -> str:
    return f"""\
version: 1
accounts:
- {{provider: anthropic, alias: a, credential: {credential}}}
- {{provider: anthropic, alias: b, credential: bbb{more}}}
"""


async def test_what_cannot_be_read_is_told_and_holds_up_nobody() -> None:
    """A path with a NUL is no OSError. Requests wait until the credentials are read: this one kept them for ever."""
    declared = Declared()
    assert await declared.read(parse(config('{file: "a\\0b"}'), "c.yaml").accounts) == []
    assert declared.secrets.keys() == {"anthropic/b"}
    assert "ValueError" in declared.problems["anthropic/a"]


async def test_a_disabled_account_is_not_read(tmp_path: Path) -> None:
    declared = Declared()
    await declared.read(parse(config(f"{{file: {tmp_path / 'none'}}}", ", enabled: false"), "c.yaml").accounts)
    assert declared.secrets == {}
    assert declared.problems.keys() == {"anthropic/a"}


async def test_who_has_another_credential_now_is_told() -> None:
    declared = Declared()
    assert await declared.read(parse(config("one"), "c.yaml").accounts) == []
    assert await declared.read(parse(config("one"), "c.yaml").accounts) == []
    assert await declared.read(parse(config("two"), "c.yaml").accounts) == ["anthropic/a"]


async def test_a_place_that_cannot_be_read_any_more_takes_no_account_away(tmp_path: Path) -> None:
    """A password manager locks itself; another place is another matter."""
    key = tmp_path / "key"
    key.write_text("one")
    key.chmod(0o600)
    declared, accounts = Declared(), parse(config(f"{{file: {key}}}"), "c.yaml").accounts
    await declared.read(accounts)
    before = declared.secrets["anthropic/a"]
    key.unlink()
    assert await declared.read(accounts) == []
    assert declared.secrets["anthropic/a"] == before and not declared.problems
    await declared.read(parse(config(f"{{file: {tmp_path / 'other'}}}"), "c.yaml").accounts)
    assert "anthropic/a" not in declared.secrets and "anthropic/a" in declared.problems
