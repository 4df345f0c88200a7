"""Accounts in the clear, for a move to another machine: what `accounts export` writes and `accounts restore` reads."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from mitm_balancer.accounts import rows
from mitm_balancer.accounts.credentials import CredentialError, checked
from mitm_balancer.accounts.model import KINDS, AccountError, AccountSettings, Credential, StoredAccount
from mitm_balancer.secrets import Secret

FORMAT = "mitm-balancer-accounts-1"


@dataclass(frozen=True, slots=True)
class Moved:
    """An account as it stands in a file."""

    provider: str
    alias: str
    credential: Credential
    settings: AccountSettings
    source: str


def write(accounts: Iterable[StoredAccount]) -> str:
    """JSON, secrets and all. Accounts without a credential are left out."""
    entries = [_entry(account, account.credential) for account in accounts if account.credential is not None]
    return json.dumps({"format": FORMAT, "accounts": entries}, indent=2) + "\n"


def read(text: str) -> list[Moved]:
    """The other way. AccountError tells which entry is wrong, and never what stands in it."""
    try:
        data = json.loads(text)
    except ValueError:
        raise AccountError("this is no JSON: balancer accounts export writes what is read here") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT or not isinstance(data.get("accounts"), list):
        raise AccountError(f"this is no export of accounts (format {FORMAT})")
    return [_moved(number, entry) for number, entry in enumerate(data["accounts"], 1)]


def _entry(account: StoredAccount, credential: Credential) -> dict[str, Any]:
    return {
        "provider": account.provider,
        "alias": account.alias,
        "kind": credential.kind,
        "secret": credential.secret.reveal(),
        "refresh": None if credential.refresh is None else credential.refresh.reveal(),
        "expires_at": credential.expires_at,
        "identity": dict(credential.identity),
        "extra": dict(credential.extra),
        "settings": asdict(account.settings),
        "source": account.source,
    }


def _moved(number: int, entry: Any) -> Moved:
    try:
        refresh, ends = entry["refresh"], entry["expires_at"]
        if entry["kind"] not in KINDS or not all(isinstance(entry[word], str) for word in ("provider", "alias")):
            raise ValueError
        settings, problem = rows.settings_of(json.dumps(entry["settings"]))
        if problem:
            raise ValueError
        credential = Credential(
            kind=entry["kind"],
            secret=checked(entry["secret"], "the secret"),
            refresh=None if refresh is None else Secret(str(refresh)),
            expires_at=None if ends is None else float(ends),
            identity={str(word): str(value) for word, value in entry["identity"].items()},
            extra={str(word): str(value) for word, value in entry["extra"].items()},
        )
        return Moved(entry["provider"], entry["alias"], credential, settings, str(entry["source"]))
    except (KeyError, TypeError, ValueError, AttributeError, CredentialError):
        raise AccountError(f"account {number} of the export is damaged: nothing was stored") from None
