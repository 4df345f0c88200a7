"""What the tests of `balancer doctor` share: a machine on which all is well, and ways to change it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mitm_balancer.cli.doctor.model import Bench, Findings, Level
from mitm_balancer.config import AccountSpec, Config, Literal
from mitm_balancer.secrets import Secret

KEY = "sk-ant-api03-canary-0123456789"


def spec(name: str = "anthropic/work", **fields: Any) -> AccountSpec:
    provider, alias = name.split("/")
    return AccountSpec(provider, alias, fields.pop("credential", Literal(Secret(KEY))), **fields)


def laid_out(tmp_path: Path) -> Bench:
    """One account, a private home, an empty user's home, no agents."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    (tmp_path / "user").mkdir()
    (tmp_path / "work").mkdir()
    return Bench(
        home=folder,
        config_file=folder / "config.yaml",
        environ={"PATH": str(tmp_path / "bin")},
        user_home=tmp_path / "user",
        folder=tmp_path / "work",
        port=0,
        config=Config(accounts=(spec(),)),
        secrets={"anthropic/work": Secret(KEY)},
    )


def with_(bench: Bench, **fields: Any) -> Bench:
    return dataclasses.replace(bench, **fields)


def found(check: Callable[[Bench], Findings], bench: Bench) -> list[tuple[str, str]]:
    """Level and text of each finding; whatever is wrong has a cure."""
    findings = list(check(bench))
    assert all(finding.cure for finding in findings if finding.level is not Level.OK)
    assert KEY not in repr(findings)
    return [(finding.level.value, finding.text) for finding in findings]


def worst(check: Callable[[Bench], Findings], bench: Bench) -> str:
    levels = [level for level, _ in found(check, bench)]
    return next((word for word in ("fail", "warn", "ok") if word in levels), "")
