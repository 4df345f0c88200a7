"""The vault: credentials are sealed before they reach the database (AES-256-GCM), each bound to its own row.

A blob is version (1 byte), id of the key (8), nonce (12), ciphertext and tag. What it is bound to is authenticated: a
blob that is moved to another row, or another field, does not open. A nonce is random and of its own per seal.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from mitm_balancer.accounts import vaultkey
from mitm_balancer.accounts.vaultkey import VaultError

__all__ = ["Vault", "VaultError"]

VERSION = 1
ID_BYTES, NONCE_BYTES, TAG_BYTES = 8, 12, 16

RETRY = 15.0
"""Seconds until a key that could not be had is asked for again, unless its file changes: a keyring that hangs must not
cost its time per row."""


@dataclass(frozen=True, slots=True)
class _Failed:
    """A key that could not be had; `until` is monotonic seconds, `stamp` is that of the key file."""

    until: float
    stamp: object
    text: str

    def holds(self, stamp: object) -> bool:
        return stamp == self.stamp and time.monotonic() < self.until


class Vault:
    """One home's vault. Nothing is read before the first use, and nothing is made before the first seal.

    Methods may be called from several threads. They block: on the key file, or up to `vaultkey.KEYRING_WAIT` seconds
    on the keyring.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._key: bytes | None = None
        self._failed: _Failed | None = None

    @classmethod
    def open(cls, home: Path) -> Vault:
        """The vault of a home; the home need not exist."""
        return cls(home.absolute())

    def seal(self, data: bytes, bound_to: str) -> bytes:
        """The data as it may lie on the disk. Makes the key when the home has none. Raises VaultError."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - 30 ms that few starts need

        key = self.unlocked(make=True)
        head = bytes([VERSION]) + _key_id(key)
        nonce = os.urandom(NONCE_BYTES)
        return head + nonce + AESGCM(key).encrypt(nonce, data, head + bound_to.encode())

    def unseal(self, blob: bytes, bound_to: str) -> bytes:
        """What was sealed for exactly this place. Raises VaultError with the cure."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        start = 1 + ID_BYTES
        if len(blob) < start + NONCE_BYTES + TAG_BYTES or blob[0] != VERSION:
            raise VaultError("what is stored of its credential is damaged: add the account again")
        key = self.unlocked()
        head, nonce = blob[:start], blob[start : start + NONCE_BYTES]
        if head[1:] != _key_id(key):
            raise VaultError(
                f"its credential was sealed with another key than {vaultkey.path(self._home)} tells of: "
                "put the old one back, or add the account again"
            )
        try:
            return AESGCM(key).decrypt(nonce, blob[start + NONCE_BYTES :], head + bound_to.encode())
        except InvalidTag:
            raise VaultError("what is stored of its credential was changed: add the account again") from None

    def fingerprint(self, text: str) -> str:
        """32 hex digits that recognise the text again and tell nothing without the key. Makes the key. VaultError."""
        key = self.unlocked(make=True)
        return hmac.new(
            _derived(key, b"fingerprint"), text.encode("utf-8", "surrogatepass"), hashlib.sha256
        ).hexdigest()[:32]

    def worth_asking(self) -> bool:
        """Whether a key that could not be had may be there by now: its file has changed, or it is time to ask again."""
        with self._lock:
            return self._failed is not None and not self._failed.holds(vaultkey.stamp(self._home))

    def unlocked(self, *, make: bool = False) -> bytes:
        """The data key. Before a transaction: a keyring that is slow must not hold the database. VaultError."""
        with self._lock:
            if self._key is not None:
                return self._key
            stamp = vaultkey.stamp(self._home)
            if not make and self._failed is not None and self._failed.holds(stamp):
                raise VaultError(self._failed.text)
            try:
                self._key = vaultkey.find(self._home) or (vaultkey.make(self._home) if make else None)
                if self._key is None:
                    raise VaultError(
                        f"the key that unseals it is gone ({vaultkey.path(self._home)}): put it back from a copy, "
                        "or add the account again"
                    )
            except VaultError as error:
                self._failed = _Failed(time.monotonic() + RETRY, stamp, str(error))
                raise
            self._failed = None
            return self._key


def _key_id(key: bytes) -> bytes:
    return _derived(key, b"id")[:ID_BYTES]


def _derived(key: bytes, purpose: bytes) -> bytes:
    return hmac.new(key, b"mitm-balancer vault " + purpose, hashlib.sha256).digest()
