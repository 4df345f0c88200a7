"""What survives a restart: one SQLite file in the balancer's home, written by one thread."""

from mitm_balancer.store.home import StoreError
from mitm_balancer.store.rows import CooldownRow, EventRow, KnownRows, UsageRow, WindowRow, remaining
from mitm_balancer.store.store import Store

__all__ = ["CooldownRow", "EventRow", "KnownRows", "Store", "StoreError", "UsageRow", "WindowRow", "remaining"]
