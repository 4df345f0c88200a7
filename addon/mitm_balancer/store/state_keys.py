"""Names of rows of `state` that more than one part reads. A module of its own: the CLI needs the names and no more."""

LIVE = "live"
"""What only the running proxy knows (`running.publishing`)."""

ROSTER = "roster"
"""The accounts as the running proxy has them (`accounts.roster_row`)."""

PROXY = "proxy"
"""The running proxy itself (`running.state_row`)."""
