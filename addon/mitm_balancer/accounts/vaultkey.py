"""The vault's data key: in the keyring of the operating system, else in a file of the home that only its owner reads.

The file `key` is there in both cases: it holds the key, or the name of the keyring's entry. It appears complete and in
one move (a link), so that of several processes that make one at once all but the first take the first one's.
"""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from mitm_balancer.accounts.patience import patiently

FILE = "key"
SERVICE = "mitm-balancer"
KEY_BYTES = 32

KEYRING_WAIT = 3.0
"""Seconds for the keyring: an unlocked one answers in milliseconds, a machine without a desktop may never."""

REAL = 1
"""The least priority of a keyring backend that keeps secrets from others; those that write plain files have less."""

CHOICE = "BALANCER_VAULT"
"""Environment variable: `file` makes a new key in the file although there is a keyring (for a proxy as a service)."""

_HEAD = "mitm-balancer-key-1"


class VaultError(Exception):
    """Something cannot be sealed or unsealed; the text says what to do about it."""


def path(home: Path) -> Path:
    """The key file of a home."""
    return home / FILE


def stamp(home: Path) -> tuple[int, int] | None:
    """Changes with the key file; None without one."""
    try:
        status = path(home).stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def find(home: Path) -> bytes | None:
    """The key of this home; None when it has none. Raises VaultError when there is one that cannot be had."""
    file = path(home)
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise VaultError(f"{file} cannot be read: {error.strerror}") from None
    try:
        mode = os.fstat(descriptor).st_mode
        if os.name == "posix" and mode & 0o077:
            raise VaultError(f"{file} is open to other users ({stat.S_IMODE(mode):04o}): chmod 600 {file}")
        text = os.read(descriptor, 4096).decode("ascii", "replace")
    except OSError as error:
        raise VaultError(f"{file} cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)
    match text.split():
        case [head, "file", coded] if head == _HEAD:
            return _decoded(coded, str(file))
        case [head, "keyring", entry] if head == _HEAD:
            return _from_keyring(entry, file)
    raise VaultError(f"{file} is damaged: put it back from a copy; or move it away and add the stored accounts again")


def make(home: Path) -> bytes:
    """Make the key of a home that has none; where another process is first, its key. Raises VaultError."""
    key = secrets.token_bytes(KEY_BYTES)
    coded = base64.b64encode(key).decode()
    entry = f"vault-{secrets.token_hex(8)}"
    in_keyring = os.environ.get(CHOICE, "") != "file" and _into_keyring(entry, coded)
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        first = _link(home, f"{_HEAD} keyring {entry}\n" if in_keyring else f"{_HEAD} file {coded}\n")
    except OSError as error:
        raise VaultError(f"{path(home)} cannot be made: {error.strerror}") from None
    if first:
        return key
    if in_keyring:
        _keyring_call(lambda ring: ring.delete_password(SERVICE, entry))
    found = find(home)
    if found is None:
        raise VaultError(f"{path(home)} came and went: try again")
    return found


def _link(home: Path, text: str) -> bool:
    """Put the file in place, private from its first moment on and on the disk; False when there is one."""
    fresh = home / f".{FILE}.{secrets.token_hex(8)}"
    descriptor = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        try:
            os.write(descriptor, text.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            os.link(fresh, path(home))
        except FileExistsError:
            return False
        except OSError:
            # A file system without hard links: a rename replaces, so here two makers at once are kept apart by a look.
            if path(home).exists():
                return False
            fresh.rename(path(home))
    finally:
        fresh.unlink(missing_ok=True)
    _sync(home)
    return True


def _sync(folder: Path) -> None:
    """The folder's new entry is on the disk, before anything is that needs it."""
    with contextlib.suppress(OSError):  # not every system syncs folders
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _decoded(coded: str, where: str) -> bytes:
    try:
        key = base64.b64decode(coded, validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise VaultError(f"the key in {where} is damaged: put it back from a copy, or add the stored accounts again")
    return key


def _from_keyring(entry: str, file: Path) -> bytes:
    cure = f"unlock it; or move {file} away and add the stored accounts again"
    try:
        coded = _keyring_call(lambda ring: ring.get_password(SERVICE, entry))
    except VaultError as error:
        raise VaultError(f"its key is in the keyring, and {error}: {cure}") from None
    if not coded:
        raise VaultError(f"the keyring has no entry {SERVICE} {entry} any more, which unseals it: {cure}")
    return _decoded(str(coded), "the keyring")


def _into_keyring(entry: str, coded: str) -> bool:
    """Whether this machine has a keyring that keeps it: written, and read back."""

    def put(ring: _Keyring) -> bool:
        ring.set_password(SERVICE, entry, coded)
        return ring.get_password(SERVICE, entry) == coded

    try:
        return bool(_keyring_call(put))
    except VaultError:
        return False


class _Keyring:
    """What we use of `keyring`, which is imported in a thread: looking for a desktop's services may hang."""

    def __init__(self) -> None:
        import keyring  # noqa: PLC0415

        if keyring.get_keyring().priority < REAL:
            raise VaultError("this process reaches no keyring")
        self.get_password: Callable[[str, str], str | None] = keyring.get_password
        self.set_password: Callable[[str, str, str], None] = keyring.set_password
        self.delete_password: Callable[[str, str], None] = keyring.delete_password


def _keyring_call[T](call: Callable[[_Keyring], T]) -> T:
    """What the keyring answers within KEYRING_WAIT. VaultError: none, locked, too slow, broken."""
    try:
        return patiently(lambda: call(_Keyring()), KEYRING_WAIT)
    except VaultError:
        raise
    except TimeoutError:
        raise VaultError(f"it gave no answer within {KEYRING_WAIT:g} s") from None
    except Exception as error:  # noqa: BLE001 - backends raise what they like
        raise VaultError(f"it failed ({type(error).__name__})") from None
