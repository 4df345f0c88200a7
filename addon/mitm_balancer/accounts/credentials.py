"""From where a credential is kept to the credential itself.

`resolve` never blocks the event loop, gives up after `TIMEOUT`, and its errors name the source and the cure, never the
value nor what a program printed (P7).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path

from mitm_balancer.accounts.patience import patiently
from mitm_balancer.config.sources import Command, CredentialSource, Env, File, Keyring, Literal, Stored
from mitm_balancer.secrets import Secret

__all__ = ["Command", "CredentialError", "CredentialSource", "Env", "File", "Keyring", "Literal", "checked", "resolve"]

TIMEOUT = 10.0
"""Seconds for a command or the keyring: password managers answer in one or two, or wait for a person."""

MAX_BYTES = 64 * 1024
"""Longer than any token, and within asyncio's limit for one line."""

SERVICE = "mitm-balancer"
"""The keyring's service name."""


class CredentialError(Exception):
    """A credential cannot be had; the text names its source and the cure."""


async def resolve(source: CredentialSource) -> Secret:
    """The credential, ready for a header: stripped, one line, latin-1. Raises CredentialError."""
    match source:
        case Stored():
            raise CredentialError(f"{source} is kept in the vault: its book has it")
        case Literal(secret):
            value = secret.reveal()
        case Env(name):
            value = _from_env(name)
        case File(path):
            value = await asyncio.to_thread(_from_file, path)
        case Command():
            value = await _from_command(source)
        case Keyring():
            value = await _from_keyring(source)
    return checked(value, str(source))


def checked(value: str, where: str) -> Secret:
    """Refuse what cannot be a header value: a line break in a credential would add headers to the request."""
    value = value.strip()
    if not value:
        raise CredentialError(f"{where} is empty")
    if any(ord(char) < 32 or ord(char) == 127 for char in value):
        raise CredentialError(f"{where} holds a line break or control character: it must be the credential alone")
    if any(ord(char) > 255 for char in value):
        raise CredentialError(f"{where} holds characters that no header can carry: it must be the credential alone")
    return Secret(value)


def _from_env(name: str) -> str:
    value = os.environ.get(name, "")
    if not value.strip():
        state = "empty" if name in os.environ else "not set"
        raise CredentialError(f"environment variable {name} is {state}: set it for the process that runs the balancer")
    return value


def _from_file(path: Path) -> str:
    try:
        # Not blocking: a FIFO without a writer would otherwise hold the thread for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise CredentialError(
            f"file {path} does not exist: write the credential there, then chmod 600 {path}"
        ) from None
    except OSError as error:
        raise CredentialError(f"file {path} cannot be read: {error.strerror}") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise CredentialError(f"file {path} is not a regular file: name the file that holds the credential")
        if status.st_mode & 0o077:
            raise CredentialError(
                f"file {path} is open to other users ({status.st_mode & 0o777:04o}): chmod 600 {path}"
            )
        content = os.read(descriptor, MAX_BYTES + 1)
    except OSError as error:
        raise CredentialError(f"file {path} cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)
    if len(content) > MAX_BYTES:
        raise CredentialError(f"file {path} is larger than {MAX_BYTES} bytes: it must hold the credential alone")
    return _text(content, f"file {path}")


async def _from_command(source: Command) -> str:
    try:
        process = await asyncio.create_subprocess_exec(
            *source.argv, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, limit=MAX_BYTES, start_new_session=True
        )
    except OSError as error:
        raise CredentialError(f"{source} cannot be started: {error.strerror}; is it installed and in PATH?") from None
    try:
        async with asyncio.timeout(TIMEOUT):
            line = await _first_line(process, source)
            code = await process.wait()
    except TimeoutError:
        raise CredentialError(
            f"{source} gave no answer within {TIMEOUT:g} s: run it by hand; it must not ask questions"
        ) from None
    finally:
        await _end(process)
    if code:
        state = f"ended with exit code {code}" if code > 0 else f"was ended by signal {-code}"
        raise CredentialError(f"{source} {state}: run it by hand to see why (its output is not shown here)")
    if not line.strip():
        raise CredentialError(f"{source} printed nothing: the credential must be the first line of its output")
    return _text(line, str(source))


async def _first_line(process: Process, source: Command) -> bytes:
    assert process.stdout is not None
    try:
        line = await process.stdout.readline()
    except ValueError:
        raise CredentialError(
            f"{source} printed a line of more than {MAX_BYTES} bytes: that is no credential"
        ) from None
    # The rest is read and thrown away: a full pipe would keep the program from ending.
    while await process.stdout.read(MAX_BYTES):
        pass
    return line


async def _end(process: Process) -> None:
    """Nothing of it may outlive the call: the whole group goes, and the process is reaped."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.returncode is None:
        await process.wait()


async def _from_keyring(source: Keyring) -> str:
    try:
        value = await asyncio.to_thread(patiently, lambda: _ask_keyring(source), TIMEOUT)
    except TimeoutError:
        raise CredentialError(f"{source}: the keyring gave no answer within {TIMEOUT:g} s: is it unlocked?") from None
    if not value:
        raise CredentialError(f"{source} does not exist: keyring set {SERVICE} {source.name}")
    return value


def _ask_keyring(source: Keyring) -> str | None:
    # Imported here: it looks for the desktop's services, which takes longer than all else at start-up.
    import keyring  # noqa: PLC0415
    import keyring.errors  # noqa: PLC0415

    try:
        found: str | None = keyring.get_password(SERVICE, source.name)
    except keyring.errors.NoKeyringError:
        raise CredentialError(f"{source}: this machine has no keyring; use env, file or command instead") from None
    except Exception as error:  # noqa: BLE001 - backends raise what they like
        raise CredentialError(f"{source}: the keyring failed ({type(error).__name__}): is it unlocked?") from None
    return found


def _text(content: bytes, where: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise CredentialError(f"{where} is not text: it must hold the credential alone") from None
