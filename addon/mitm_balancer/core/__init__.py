"""Pure decisions: no mitmproxy, asyncio, sqlite, clock or randomness; `now` and `rng` are arguments."""
