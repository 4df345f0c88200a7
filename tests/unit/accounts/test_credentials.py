"""Credential sources: real files, real programs, a real keyring backend."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backend
import keyring.errors
import pytest

from mitm_balancer.accounts import credentials
from mitm_balancer.accounts.credentials import (
    Command,
    CredentialError,
    CredentialSource,
    Env,
    File,
    Keyring,
    Literal,
    resolve,
)
from mitm_balancer.secrets import Secret

CANARY = "sk-PLANTED-0123456789"


async def refusal(source: CredentialSource) -> str:
    with pytest.raises(CredentialError) as caught:
        await resolve(source)
    assert "PLANTED" not in f"{caught.value!r} {caught.value.__cause__!r}"
    return str(caught.value)


def private(path: Path, content: str | bytes, mode: int = 0o600) -> File:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    return File(path)


def python(code: str) -> Command:
    return Command((sys.executable, "-S", "-c", code))


async def test_a_literal_is_stripped() -> None:
    assert await resolve(Literal(Secret(f"  {CANARY}\n"))) == Secret(CANARY)


@pytest.mark.parametrize("bad", ["\r", "\n", "\0", "\x7f", "\u20ac"])
async def test_what_no_header_can_carry_is_refused(bad: str) -> None:
    text = await refusal(Literal(Secret(f"{CANARY}{bad}x")))
    assert "the credential in the configuration holds" in text


async def test_an_empty_literal_is_refused() -> None:
    assert await refusal(Literal(Secret(" \n"))) == "the credential in the configuration is empty"


async def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORK_KEY", f" {CANARY} ")
    assert await resolve(Env("WORK_KEY")) == Secret(CANARY)
    monkeypatch.setenv("WORK_KEY", " ")
    assert "environment variable WORK_KEY is empty: set it" in await refusal(Env("WORK_KEY"))
    monkeypatch.delenv("WORK_KEY")
    assert "environment variable WORK_KEY is not set: set it" in await refusal(Env("WORK_KEY"))


async def test_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    assert f"file {path} does not exist" in await refusal(File(path))
    assert await resolve(private(path, f"{CANARY}\n")) == Secret(CANARY)
    assert await resolve(private(path, CANARY, 0o400)) == Secret(CANARY)
    path.chmod(0o600)
    assert await refusal(private(path, "\n")) == f"file {path} is empty"
    assert "holds a line break" in await refusal(private(path, f"{CANARY}\n{CANARY}"))
    assert "is not text" in await refusal(private(path, b"\xff" + CANARY.encode()))
    assert "is larger than" in await refusal(private(path, CANARY * 10_000))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
async def test_a_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    source = private(tmp_path / "key", CANARY, mode)
    text = await refusal(source)
    assert text == f"file {source.path} is open to other users ({mode:04o}): chmod 600 {source.path}"


async def test_only_regular_files_are_read(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o600)
    async with asyncio.timeout(20):
        assert "is not a regular file" in await refusal(File(fifo))
        tmp_path.chmod(0o700)
        assert "is not a regular file" in await refusal(File(tmp_path))


async def test_command_gives_its_first_line(tmp_path: Path) -> None:
    assert await resolve(python(f"print(' {CANARY} '); print('note ' * 100_000)")) == Secret(CANARY)
    # No shell: nothing is expanded.
    assert await resolve(Command(("echo", "$HOME;*"))) == Secret("$HOME;*")


async def test_a_failing_command_shows_its_code_and_not_its_output(capfd: pytest.CaptureFixture[str]) -> None:
    text = await refusal(python(f"print('{CANARY}'); import sys; print('{CANARY}', file=sys.stderr); sys.exit(3)"))
    assert text.startswith(f"command {sys.executable} ended with exit code 3: run it by hand")
    assert "was ended by signal 9" in await refusal(python("import os; os.kill(os.getpid(), 9)"))
    assert "printed nothing" in await refusal(python("pass"))
    assert "printed a line of more than" in await refusal(python(f"print('{CANARY}' * 10_000)"))
    text = await refusal(Command(("/nowhere/op", CANARY)))
    assert text.startswith("command /nowhere/op cannot be started: No such file")
    assert "PLANTED" not in "".join(capfd.readouterr())


async def test_a_command_that_hangs_is_ended_with_all_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "TIMEOUT", 0.5)
    pids = tmp_path / "pids"
    code = f"""
import os, pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)'])
pathlib.Path({str(pids)!r}).write_text(f'{{os.getpid()}} {{child.pid}}')
time.sleep(60)
"""
    started = time.monotonic()
    assert "gave no answer within 0.5 s" in await refusal(python(code))
    assert time.monotonic() - started < 5
    for pid in map(int, pids.read_text().split()):
        await _gone(pid)


async def test_cancelling_ends_the_command(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = f"import os, pathlib, time; pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid())); time.sleep(60)"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await resolve(python(code))
    await _gone(int(pid_file.read_text()))


async def _gone(pid: int) -> None:
    async with asyncio.timeout(20):
        while _running(pid):
            await asyncio.sleep(0.01)


def _running(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


class Ring(keyring.backend.KeyringBackend):
    """A keyring in memory."""

    priority = 1  # type: ignore[assignment]

    def __init__(self, failure: Exception | None = None) -> None:
        super().__init__()
        self.failure = failure

    def get_password(self, service: str, username: str) -> str | None:
        if self.failure:
            raise self.failure
        return {("mitm-balancer", "work"): CANARY}.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError


@pytest.fixture(autouse=True)
def _restore_keyring() -> Iterator[None]:
    before = keyring.get_keyring()
    yield
    keyring.set_keyring(before)


async def test_keyring() -> None:
    keyring.set_keyring(Ring())
    assert await resolve(Keyring("work")) == Secret(CANARY)
    assert await refusal(Keyring("home")) == "keyring entry home does not exist: keyring set mitm-balancer home"
    keyring.set_keyring(Ring(keyring.errors.NoKeyringError(CANARY)))
    assert "use env, file or command" in await refusal(Keyring("work"))
    keyring.set_keyring(Ring(keyring.errors.KeyringLocked(CANARY)))
    assert "the keyring failed (KeyringLocked): is it unlocked?" in await refusal(Keyring("work"))
    keyring.set_keyring(Ring(RuntimeError(CANARY)))
    assert "the keyring failed (RuntimeError): is it unlocked?" in await refusal(Keyring("work"))


async def test_a_keyring_that_hangs_blocks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Ring):
        def get_password(self, service: str, username: str) -> str | None:
            time.sleep(1)
            return None

    monkeypatch.setattr(credentials, "TIMEOUT", 0.1)
    keyring.set_keyring(Slow())
    started = time.monotonic()
    assert "gave no answer within 0.1 s" in await refusal(Keyring("work"))
    assert time.monotonic() - started < 0.9


async def test_a_keyring_that_hangs_takes_no_thread_from_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """asyncio's pool has six on a small machine; the store, renewals and reloads need them."""
    end = threading.Event()

    class Hangs(Ring):
        def get_password(self, service: str, username: str) -> str | None:
            end.wait(10)
            return None

    monkeypatch.setattr(credentials, "TIMEOUT", 0.1)
    keyring.set_keyring(Hangs())
    try:
        await asyncio.gather(*(refusal(Keyring(f"k{number}")) for number in range(40)))
        assert await asyncio.wait_for(asyncio.to_thread(int), 1) == 0
    finally:
        end.set()
