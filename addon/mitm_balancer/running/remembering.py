"""Who made which resource, and where each session is, over a restart: read back at the start, written as learnt."""

from __future__ import annotations

from mitm_balancer.core.owners import Owners
from mitm_balancer.core.session import Bindings
from mitm_balancer.proxy.bound import Resources
from mitm_balancer.proxy.session import Sessions
from mitm_balancer.store import Store


def resources(store: Store | None, now: float) -> Resources:
    """What earlier processes learnt. Reads the store: blocks. `now` is unix seconds.

    Without a store that can be read there is no secret to key fingerprints with: then this process remembers for
    itself, until it ends.
    """
    secret = None if store is None else store.owners_secret()
    if store is None or secret is None:
        return Resources()
    owners = Owners()
    owners.restore(store.owners(), now)
    return Resources(owners, secret, store.save_owner)


def sessions(store: Store | None, now: float, clock: float) -> Sessions:
    """Where sessions were. Reads the store: blocks. `now` is unix seconds, `clock` the monotonic time beside it."""
    secret = None if store is None else store.owners_secret()
    if store is None or secret is None:
        return Sessions()
    bindings = Bindings()
    bindings.restore(((key, account, clock - (now - at)) for key, account, at in store.bindings()), clock)
    return Sessions(bindings, secret, store.save_binding)
