"""What is told when another provider serves in place of the client's own: to the operator once per switch, to the
trace each time."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mitm_balancer.core.dispatch import Dispatch
from mitm_balancer.core.durations import countdown
from mitm_balancer.ops.events import EventType
from mitm_balancer.proxy.record import Record
from mitm_balancer.proxy.routes import Route, Routes

if TYPE_CHECKING:
    from mitm_balancer.proxy.runtime import Runtime

logger = logging.getLogger(__name__)


def noticed(runtime: Runtime, routes: Routes, route: Route, record: Record, dispatch: Dispatch, now: float) -> None:
    """`route` has served. `now` is monotonic seconds."""
    if not routes.others:
        return
    home, other = routes.claim.pool.provider.name, route.stand_in
    routes.went(None if other is None else route.account.name)
    switch = (home, routes.model)
    before = runtime.standing_in.get(switch)
    if other is not None:
        record.data.update(across=True, model_sent=route.model)
        if before != route.account.provider.name:
            runtime.standing_in[switch] = route.account.provider.name
            _left(runtime, routes, route, record, dispatch, now)
    elif before is not None:
        del runtime.standing_in[switch]
        logger.info("mitm-balancer: %s serves %s again", route.account.name, routes.model)


def _left(runtime: Runtime, routes: Routes, route: Route, record: Record, dispatch: Dispatch, now: float) -> None:
    home, name = routes.claim.pool.provider.name, route.account.name
    whys = _whys(routes, dispatch, now)
    why = "; ".join(f"{account} {reason}" for account, reason, _ in whys) or "switched off in the matrix"
    message = f"{name} serves {routes.model} as {route.model} in place of {home} ({why})"
    logger.warning("mitm-balancer: %s", message)
    previous, reason, wait = whys[0] if whys else (home, why, None)
    data: dict[str, object] = {
        "previous": previous,
        "reason": reason,
        "across": True,
        "provider": home,
        "model": routes.model,
        "request_id": record.request_id,
    }
    if wait is not None:
        data["wait_s"] = round(wait, 1)
    runtime.recorder.event(EventType.FAILOVER_PERFORMED, name, message, data)


def _whys(routes: Routes, dispatch: Dispatch, now: float) -> list[tuple[str, str, float | None]]:
    """(account, why it does not serve, seconds until it does) of the client's own provider."""
    found: list[tuple[str, str, float | None]] = []
    for target in routes.home.targets:
        block = routes.home.blocked(target, routes.model, dispatch.health, now)
        if block is None:
            outcome = next((o for name, o in reversed(dispatch.attempts) if name == target.name), None)
            found.append((target.name, outcome.reason if outcome is not None else "passed over", None))
        elif block.until is None:
            found.append((target.name, block.reason, None))
        else:
            wait = max(0.0, block.until - now)
            found.append((target.name, f"{block.reason}, back in {countdown(wait)}", wait))
    return found[:5]
