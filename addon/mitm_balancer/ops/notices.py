"""Telling people: a line in the log, and where they want it a command or a webhook.

Each sender has a thread of its own, so a slow program or a dead server delays nothing, not even the other sender. The
same thing is told at most once in `min_interval`; a sender that fails is said once, until it works again.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence

from mitm_balancer.ops.audit import stamp
from mitm_balancer.ops.events import Event, EventType

logger = logging.getLogger(__name__)

TOLD = {
    EventType.FAILOVER_PERFORMED: logging.INFO,
    EventType.STORE_RECOVERED: logging.INFO,
    EventType.EXHAUSTED: logging.WARNING,
    EventType.REAUTH_REQUIRED: logging.WARNING,
    EventType.STORE_TROUBLE: logging.WARNING,
}
"""What makes a notice, and how loud its line in the log is."""

SAID = frozenset({"across", "cure"})
"""Fields of events whose line was written where they arose, with more to say: a stand-in, a login that ended."""

MOST_WAITING = 100
"""Notices: a sender that is so far behind is as good as dead, and what is newer is more useful."""


class NoticeError(Exception):
    """A notice could not be sent; the text is for people and holds no secret."""


type Sender = Callable[[bytes], None]
"""Sends a JSON object. Blocks until it is done or its time is over. Raises NoticeError."""


class Notices:
    """`take` is called by one thread. `failed` hears once of a sender that fails, in that sender's thread."""

    def __init__(
        self, senders: Mapping[str, Sender], min_interval: float, failed: Callable[[str], None] = lambda _: None
    ) -> None:
        self._outlets = [_Outlet(name, send, failed) for name, send in senders.items()]
        self._min_interval = min_interval
        self._last: dict[tuple[str, str], float] = {}

    @property
    def problem(self) -> str | None:
        """What does not work."""
        return "; ".join(outlet.problem for outlet in self._outlets if outlet.problem) or None

    def take(self, event: Event) -> None:
        """Tell of it, if it is worth it."""
        if event.type not in TOLD or self._is_soon(event):
            return
        if not SAID & event.data.keys():
            logger.log(TOLD[EventType(event.type)], "mitm-balancer: %s", event.message)
        told = document(event) if self._outlets else b""
        for outlet in self._outlets:
            outlet.put(told)

    def close(self) -> None:
        """What waits is not waited for."""
        for outlet in self._outlets:
            outlet.close()

    def _is_soon(self, event: Event) -> bool:
        """Whether the same was told just now. Of a failover it is the account that was left."""
        key = event.type, str(event.data.get("previous") or event.account)
        before = self._last.get(key)
        if before is not None and 0 <= event.at - before < self._min_interval:
            return True
        self._last[key] = event.at
        return False


class _Outlet:
    """One sender, the thread that it has, and what waits for it."""

    def __init__(self, name: str, send: Sender, failed: Callable[[str], None]) -> None:
        self._name, self._send, self._failed = name, send, failed
        self.problem = ""
        """Why it does not work."""
        self._waiting: queue.Queue[bytes] = queue.Queue(MOST_WAITING)
        self._closed = False
        threading.Thread(target=self._run, name=f"balancer-notices-{name}", daemon=True).start()

    def put(self, told: bytes) -> None:
        try:
            self._waiting.put_nowait(told)
        except queue.Full:
            logger.warning("mitm-balancer: a notice is not sent to %s, %d are waiting", self._name, MOST_WAITING)

    def close(self) -> None:
        self._closed = True
        with contextlib.suppress(queue.Full):  # then it is awake, or will be
            self._waiting.put_nowait(b"")

    def _run(self) -> None:
        while (told := self._waiting.get()) and not self._closed:
            self._try(told)

    def _try(self, told: bytes) -> None:
        try:
            self._send(told)
        except NoticeError as error:
            if not self.problem:
                self.problem = f"notices.{self._name}: {error}"
                logger.warning("mitm-balancer: %s", self.problem)
                self._failed(self.problem)
        except Exception:  # the border of this thread
            self.problem = f"notices.{self._name}: failed"
            logger.exception("mitm-balancer: notices.%s failed", self._name)
        else:
            self.problem = ""


def document(event: Event) -> bytes:
    """What a command and a webhook get. `text` stands there for chat services, which show that field."""
    known = {"account": event.account, "previous": event.data.get("previous"), "wait_s": event.data.get("wait_s")}
    told = {"event": event.type, "ts": stamp(event.at), "text": event.message}
    return json.dumps(told | {name: value for name, value in known.items() if value}).encode() + b"\n"


def command(argv: Sequence[str], timeout: float) -> Sender:
    """Runs a program without a shell; the document is its standard input, its output is nobody's."""

    def send(told: bytes) -> None:
        try:
            process = subprocess.Popen(  # noqa: S603 - the user's own program, no shell
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not a command"
            raise NoticeError(f"{argv[0]} cannot be started: {reason}") from None
        try:
            process.communicate(told, timeout)
        except subprocess.TimeoutExpired:
            raise NoticeError(f"{argv[0]} did not end within {timeout:g} s") from None
        finally:
            _end(process)
        if process.returncode:
            raise NoticeError(f"{argv[0]} ended with exit code {process.returncode}")

    return send


def _end(process: subprocess.Popen[bytes]) -> None:
    """Nothing of it may outlive its time: the whole group goes."""
    if process.poll() is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError, AttributeError):
            process.kill()
        process.wait()
