"""Between the rows of the database and accounts. Whatever a row holds, reading it never raises: it is told instead."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mitm_balancer.accounts.model import KINDS, AccountSettings, Credential, Pending, StoredAccount
from mitm_balancer.accounts.vault import Vault, VaultError
from mitm_balancer.secrets import Secret

ACCOUNT_COLUMNS = (
    "id, provider, alias, kind, generation, expires_at, sealed, settings, source, created_at, updated_at, last_used_at"
)
PENDING_COLUMNS = "id, provider, kind, expires_at, sealed, source, captured_at"


NOT_UNSEALED = "its credential was not asked for"


def sealed(vault: Vault, row_id: str, credential: Credential) -> bytes:
    """All that a credential tells but its kind and its end, bound to its row. Raises VaultError."""
    data: dict[str, Any] = {"secret": credential.secret.reveal()}
    if credential.refresh is not None:
        data["refresh"] = credential.refresh.reveal()
    data |= {"identity": dict(credential.identity), "extra": dict(credential.extra)}
    return vault.seal(json.dumps(data).encode(), _place(row_id))


def unsealed(vault: Vault, row_id: str, kind: object, expires_at: object, blob: object) -> Credential:
    """The other way. Raises VaultError for what does not open or is no credential."""
    if not isinstance(blob, bytes) or kind not in KINDS:
        raise VaultError("its row in the database is damaged: add the account again")
    try:
        data = json.loads(vault.unseal(blob, _place(row_id)))
        refresh = data.get("refresh")
        return Credential(
            kind=str(kind),
            secret=Secret(str(data["secret"])),
            refresh=None if refresh is None else Secret(str(refresh)),
            expires_at=_number(expires_at),
            identity=_words(data.get("identity")),
            extra=_words(data.get("extra")),
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        raise VaultError("its row in the database is damaged: add the account again") from None


def account(row: tuple[Any, ...], credential: Credential | str) -> StoredAccount:
    """The account of a row (ACCOUNT_COLUMNS), with its credential or with what is wrong with it."""
    row_id, provider, alias, kind, generation, expires_at, _, settings, source, created, updated, used = row
    found, problem = settings_of(settings)
    if isinstance(credential, str):
        problem = credential
    return StoredAccount(
        id=str(row_id),
        provider=str(provider),
        alias=str(alias),
        credential=None if problem or isinstance(credential, str) else credential,
        generation=generation if isinstance(generation, int) else 0,
        settings=found,
        source=str(source),
        created_at=_number(created) or 0.0,
        updated_at=_number(updated) or 0.0,
        last_used_at=_number(used),
        problem=problem,
        kind=str(kind),
        expires_at=_number(expires_at),
    )


def pending(row: tuple[Any, ...], credential: Credential | str) -> Pending:
    """The pending account of a row (PENDING_COLUMNS)."""
    row_id, provider, _, _, _, source, captured_at = row
    bad = isinstance(credential, str)
    return Pending(
        str(row_id),
        str(provider),
        None if isinstance(credential, str) else credential,
        str(source),
        _number(captured_at) or 0.0,
        str(credential) if bad else "",
    )


def settings_text(settings: AccountSettings) -> str:
    """As it is stored."""
    return json.dumps(asdict(settings))


def settings_of(text: object) -> tuple[AccountSettings, str]:
    """The settings of a row, and what is wrong with them."""
    try:
        data = json.loads(str(text))
        base_url, limit = data.get("base_url"), data.get("concurrency_limit", 8)
        found = AccountSettings(
            priority=int(data.get("priority", 0)),
            weight=float(data.get("weight", 1)),
            models=tuple(str(glob) for glob in data.get("models") or ("*",)),
            base_url=None if base_url is None else str(base_url),
            concurrency_limit=int(limit),
            policy_tags=tuple(str(tag) for tag in data.get("policy_tags") or ()),
        )
        if found.weight > 0 and found.concurrency_limit > 0:
            return found, ""
    except (ValueError, TypeError, AttributeError, OverflowError):
        pass
    return AccountSettings(), "its settings in the database are damaged: add the account again"


def _place(row_id: str) -> str:
    return f"{row_id}/credential"


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _words(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {}
    return {str(word): str(found) for word, found in value.items() if found is not None}
