"""How an import shows what it found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mitm_balancer.accounts.importing.model import Found, Harvest
from mitm_balancer.accounts.importing.plan import Candidate
from mitm_balancer.accounts.importing.sources import SOURCES
from mitm_balancer.accounts.model import Credential
from mitm_balancer.accounts.sameness import known_identity
from mitm_balancer.accounts.shapes import tail
from mitm_balancer.cli.output import table
from mitm_balancer.core.durations import countdown


def lines(candidates: Sequence[Candidate], now: float) -> list[str]:
    """A table for people; `now`: unix seconds."""
    rows = [("ACCOUNT", "WHAT IT IS, AND WHERE")]
    for candidate in candidates:
        found = candidate.found
        end = ends(found.credential, now)
        what = f"{kind(found.credential)} of {whose(found)}" if whose(found) != "-" else kind(found.credential)
        rows.append((candidate.name, what if end == "-" else f"{what}, ends {end}".replace("ends has ended", "ended")))
        rows.append(("", f"{found.place}: {_state(candidate)}"))
    return table(rows)


def _state(candidate: Candidate) -> str:
    if candidate.twin:
        return f"the same account as in {candidate.twin}"
    if candidate.declared:
        return f"declared already, as {candidate.declared}"
    if candidate.stored is not None:
        return f"stored already, as {candidate.name}" + (", with other tokens" if candidate.news else "")
    return "new"


def kind(credential: Credential) -> str:
    """In one word."""
    return "login" if credential.kind == "oauth" else "key"


def whose(found: Found) -> str:
    """Who it belongs to, as far as it says so itself; of a key, its end."""
    identity = known_identity(found.provider, found.credential)
    who = identity.get("email") or found.credential.identity.get("user") or found.alias
    end = tail(found.credential.secret.reveal()) if found.credential.kind == "api" else ""
    who = who or (f"...{end}" if end else "-")
    plan = identity.get("plan")
    return f"{who} ({plan})" if plan else who


def ends(credential: Credential, now: float) -> str:
    """When the access token ends."""
    if credential.expires_at is None:
        return "-"
    left = credential.expires_at - now
    return f"in {countdown(left)}" if left > 0 else "has ended"


def as_json(candidate: Candidate) -> dict[str, Any]:
    """For programs. Holds nothing of the credential."""
    found, credential = candidate.found, candidate.found.credential
    identity = known_identity(found.provider, credential)
    return {
        "agent": found.agent,
        "place": found.place,
        "provider": found.provider,
        "kind": credential.kind,
        "email": identity.get("email"),
        "org": identity.get("org_name") or identity.get("org") or identity.get("account_id"),
        "plan": identity.get("plan"),
        "expires_at": credential.expires_at,
        "rotates": found.rotates,
        "account": candidate.name,
        "stored": candidate.stored is not None,
        "declared": bool(candidate.declared),
        "twin_of": candidate.twin or None,
        "news": candidate.news,
    }


def problems_json(harvests: Sequence[Harvest]) -> list[dict[str, str]]:
    return [
        {"agent": problem.agent, "place": problem.place, "problem": problem.text}
        for harvest in harvests
        for problem in harvest.problems
    ]


def looked_at(harvests: Sequence[Harvest]) -> str:
    """The sources in words."""
    return ", ".join(SOURCES[harvest.agent].title for harvest in harvests)
