"""Who made which resource, over a restart: read back at the start, written down as it is learnt."""

from __future__ import annotations

from mitm_balancer.core.owners import Owners
from mitm_balancer.proxy.bound import Resources
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
