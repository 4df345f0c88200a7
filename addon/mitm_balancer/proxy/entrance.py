"""One request's way in: its session, its seat, and the wait for a slot."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mitm_balancer.core.admission import Seat
from mitm_balancer.core.dispatch import Dispatch
from mitm_balancer.proxy.session import Named

if TYPE_CHECKING:
    from mitm_balancer.proxy.runtime import Runtime


class Entrance:
    """Gives a dispatcher what it needs to wait, and waits for it."""

    def __init__(self, runtime: Runtime, dispatch: Dispatch, name: Named | None, *, interactive: bool) -> None:
        self._woken = asyncio.Event()
        dispatch.tie = runtime.sessions.tie(dispatch.provider, name)
        session = "" if dispatch.tie is None else dispatch.tie.keys.own
        # Somebody watches a stream being written; what is asked for in one piece can wait longer.
        dispatch.seat = Seat(runtime.admission, session=session, interactive=interactive, wake=self._woken.set)

    async def wait(self, seconds: float) -> None:
        """Until a slot is reserved for this request, at most so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return
        finally:
            self._woken.clear()
