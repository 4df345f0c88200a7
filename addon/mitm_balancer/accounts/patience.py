"""A call that may hang for ever, such as one to a keyring: made in a thread of its own, and waited for so long only.

Not in asyncio's pool: that has a handful of threads, which the whole proxy shares, and its end waits for all of them.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable


def patiently[T](call: Callable[[], T], seconds: float) -> T:
    """What `call` gives or raises. TimeoutError: it goes on, and nobody listens. Blocks."""
    results: queue.SimpleQueue[tuple[T] | Exception] = queue.SimpleQueue()

    def run() -> None:
        try:
            results.put((call(),))
        except Exception as error:  # noqa: BLE001 - it is raised below, to who asked
            results.put(error)

    threading.Thread(target=run, name="balancer-patience", daemon=True).start()
    try:
        result = results.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(result, Exception):
        raise result
    return result[0]
