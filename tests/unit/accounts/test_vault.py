"""The vault: what it seals opens in its own place only, and its key is one, whoever makes it first."""

import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import keyring
import keyring.errors
import pytest
from keyring.backend import KeyringBackend

import mitm_balancer
from mitm_balancer.accounts import vaultkey
from mitm_balancer.accounts.vault import Vault, VaultError

PACKAGES = Path(mitm_balancer.__file__).parents[1]
DATA = b'{"secret": "CANARY-IN-THE-VAULT"}'


class Memory(KeyringBackend):
    """A keyring as a desktop has one."""

    priority = 5  # type: ignore[assignment]

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], str] = {}
        self.trouble: Exception | None = None
        self.stuck = threading.Event()
        self.stuck.set()

    def get_password(self, service: str, username: str) -> str | None:
        self.stuck.wait(30)
        if self.trouble is not None:
            raise self.trouble
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.stuck.wait(30)
        if self.trouble is not None:
            raise self.trouble
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.entries[service, username]


class Plain(Memory):
    """Writes a file that anybody can read: worse than our own."""

    priority = 0.5  # type: ignore[assignment]


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch, home: Path) -> Memory:
    monkeypatch.delenv("BALANCER_VAULT", raising=False)
    memory = Memory()
    monkeypatch.setattr(keyring, "get_keyring", lambda: memory)
    for name in ("get_password", "set_password", "delete_password"):
        monkeypatch.setattr(keyring, name, getattr(memory, name))
    return memory


def test_what_is_sealed_opens_again_in_another_process(home: Path) -> None:
    blob = Vault.open(home).seal(DATA, "id/credential")
    assert b"CANARY" not in blob
    assert Vault.open(home).unseal(blob, "id/credential") == DATA
    assert stat.S_IMODE((home / "key").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_two_seals_of_the_same_are_not_alike(home: Path) -> None:
    vault = Vault.open(home)
    blobs = [vault.seal(DATA, "p") for _ in range(50)]
    assert len({blob[9:21] for blob in blobs}) == 50


def test_a_blob_opens_in_its_own_place_only(home: Path) -> None:
    vault = Vault.open(home)
    blob = vault.seal(DATA, "one/credential")
    with pytest.raises(VaultError, match="was changed"):
        vault.unseal(blob, "two/credential")


@pytest.mark.parametrize("place", [9, 20, 21, 30, -1])
def test_a_bit_that_changed_is_seen(home: Path, place: int) -> None:
    vault = Vault.open(home)
    blob = bytearray(vault.seal(DATA, "p"))
    blob[place] ^= 1
    with pytest.raises(VaultError):
        vault.unseal(bytes(blob), "p")


@pytest.mark.parametrize("blob", [b"", b"\x01", b"\x02" + b"x" * 60, b"\x01" + b"x" * 35])
def test_what_is_no_blob_is_told(home: Path, blob: bytes) -> None:
    vault = Vault.open(home)
    vault.seal(DATA, "p")
    with pytest.raises(VaultError, match="damaged"):
        vault.unseal(blob, "p")


def test_looking_makes_no_key(home: Path) -> None:
    blob = Vault.open(home).seal(DATA, "p")
    (home / "key").unlink()
    with pytest.raises(VaultError, match=r"key that unseals it is gone .*key\)"):
        Vault.open(home).unseal(blob, "p")
    assert not (home / "key").exists()


def test_a_key_that_comes_back_is_taken_at_once(home: Path) -> None:
    blob = Vault.open(home).seal(DATA, "p")
    kept = (home / "key").read_bytes()
    (home / "key").unlink()
    vault = Vault.open(home)
    with pytest.raises(VaultError):
        vault.unseal(blob, "p")
    (home / "key").touch(mode=0o600)
    (home / "key").write_bytes(kept)
    assert vault.unseal(blob, "p") == DATA


def test_another_key_is_told_from_damage(home: Path) -> None:
    blob = Vault.open(home).seal(DATA, "p")
    (home / "key").unlink()
    other = Vault.open(home)
    other.seal(DATA, "p")
    with pytest.raises(VaultError, match="sealed with another key"):
        other.unseal(blob, "p")


def test_a_key_file_that_others_can_read_is_refused(home: Path) -> None:
    Vault.open(home).seal(DATA, "p")
    (home / "key").chmod(0o640)
    with pytest.raises(VaultError, match="chmod 600"):
        Vault.open(home).seal(DATA, "p")


@pytest.mark.parametrize(
    "text", ["", "nonsense", "mitm-balancer-key-1 file !!!", "mitm-balancer-key-1 file QUJD", "\xff"]
)
def test_a_damaged_key_file_is_told_and_never_replaced(home: Path, text: str) -> None:
    home.mkdir(mode=0o700)
    (home / "key").touch(mode=0o600)
    (home / "key").write_text(text, encoding="latin-1")
    with pytest.raises(VaultError, match="damaged"):
        Vault.open(home).seal(DATA, "p")
    assert (home / "key").read_text(encoding="latin-1") == text


def test_the_key_goes_into_a_real_keyring(home: Path, ring: Memory) -> None:
    blob = Vault.open(home).seal(DATA, "p")
    ((service, entry),) = ring.entries
    assert service == "mitm-balancer"
    assert (home / "key").read_text().split() == ["mitm-balancer-key-1", "keyring", entry]
    assert Vault.open(home).unseal(blob, "p") == DATA


def test_the_user_may_want_a_file_all_the_same(home: Path, ring: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BALANCER_VAULT", "file")
    Vault.open(home).seal(DATA, "p")
    assert ring.entries == {}


@pytest.mark.parametrize(
    "trouble", [keyring.errors.KeyringLocked("x"), keyring.errors.NoKeyringError("x"), OSError("x"), ValueError("x")],
    ids=["locked", "none", "os", "odd"],
)  # fmt: skip
def test_without_a_keyring_that_works_it_is_a_file(home: Path, ring: Memory, trouble: Exception) -> None:
    ring.trouble = trouble
    blob = Vault.open(home).seal(DATA, "p")
    assert (home / "key").read_text().split()[1] == "file"
    assert Vault.open(home).unseal(blob, "p") == DATA


def test_a_keyring_that_writes_plain_files_is_none(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BALANCER_VAULT")
    plain = Plain()
    monkeypatch.setattr(keyring, "get_keyring", lambda: plain)
    Vault.open(home).seal(DATA, "p")
    assert (home / "key").read_text().split()[1] == "file"


def test_a_keyring_that_is_locked_later_is_told_and_no_new_key_is_made(home: Path, ring: Memory) -> None:
    blob = Vault.open(home).seal(DATA, "p")
    ring.trouble = keyring.errors.KeyringLocked("x")
    with pytest.raises(VaultError, match=r"in the keyring, and it failed \(KeyringLocked\): unlock it"):
        Vault.open(home).unseal(blob, "p")
    with pytest.raises(VaultError, match="unlock it"):
        Vault.open(home).seal(DATA, "p")
    ring.trouble = None
    ring.entries.clear()
    with pytest.raises(VaultError, match="has no entry"):
        Vault.open(home).seal(DATA, "p")


def test_a_keyring_that_hangs_costs_its_limit_once(home: Path, ring: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    blob = Vault.open(home).seal(DATA, "p")
    monkeypatch.setattr(vaultkey, "KEYRING_WAIT", 0.2)
    ring.stuck.clear()
    vault = Vault.open(home)
    begun = time.monotonic()
    for _ in range(20):
        with pytest.raises(VaultError, match="no answer"):
            vault.unseal(blob, "p")
    assert 0.2 <= time.monotonic() - begun < 1.5
    ring.stuck.set()


def test_of_two_makers_in_the_keyring_the_second_takes_the_firsts(home: Path, ring: Memory) -> None:
    home.mkdir(mode=0o700)
    real = vaultkey.find

    first = vaultkey.make(home)
    assert vaultkey.make(home) == first == real(home)
    assert len(ring.entries) == 1


MAKING = """
import sys
from pathlib import Path
from mitm_balancer.accounts.vault import Vault
vault = Vault.open(Path(sys.argv[1]))
sys.stdin.readline()
print(vault.seal(b"data", "p").hex(), flush=True)
"""


def test_eight_processes_make_one_key(home: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(PACKAGES)}
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", MAKING, str(home)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )
        for _ in range(8)
    ]  # fmt: skip
    for maker in makers:
        assert maker.stdin is not None
        maker.stdin.write("\n")
        maker.stdin.flush()
    blobs = [bytes.fromhex(maker.communicate(timeout=30)[0]) for maker in makers]
    vault = Vault.open(home)
    assert [vault.unseal(blob, "p") for blob in blobs] == [b"data"] * 8
    assert [path.name for path in home.iterdir()] == ["key"]


def test_a_file_system_without_links_will_do(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refused)
    blob = Vault.open(home).seal(DATA, "p")
    assert Vault.open(home).unseal(blob, "p") == DATA
    assert [path.name for path in home.iterdir()] == ["key"]


def test_a_fingerprint_is_keyed(home: Path, tmp_path: Path) -> None:
    one = Vault.open(home).fingerprint("CANARY")
    assert Vault.open(home).fingerprint("CANARY") == one
    assert Vault.open(home).fingerprint("other") != one
    assert Vault.open(tmp_path / "elsewhere").fingerprint("CANARY") != one
    assert len(one) == 32
