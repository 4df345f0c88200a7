"""What an operator does, to the store (the CLI) or to the running proxy (commands of mitmproxy)."""

from mitm_balancer.operations.verbs import (
    STATES,
    Board,
    Flags,
    Report,
    clear,
    resume,
    serving,
    set_state,
    switch,
    use,
)

__all__ = [
    "STATES",
    "Board",
    "Flags",
    "Report",
    "clear",
    "resume",
    "serving",
    "set_state",
    "switch",
    "use",
]
