"""`mitmdump` or `balancer` under cProfile: `python -m bench.profiled mitmdump ARGS`, ended by SIGTERM.

The statistics go to $BALANCER_BENCH_PROFILE. mitmproxy's own handler makes SIGTERM a clean shutdown, so that the tool
returns and the dump is reached; whatever raises on the way out must not lose it either.
"""

from __future__ import annotations

import cProfile
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

from bench.variants import PROFILE_ENV


def tool(name: str) -> Callable[[], object]:
    """What the installed command of that name runs; it reads sys.argv."""
    if name == "mitmdump":
        from mitmproxy.tools.main import mitmdump

        return mitmdump
    main: Callable[[], object] = importlib.import_module("mitm_balancer.cli.main").main
    return main


def run(name: str, arguments: list[str]) -> None:
    entry = tool(name)
    sys.argv = [name, *arguments]
    profiler = cProfile.Profile()
    try:
        profiler.runcall(entry)
    finally:
        profiler.dump_stats(Path(os.environ[PROFILE_ENV]))


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2:])
