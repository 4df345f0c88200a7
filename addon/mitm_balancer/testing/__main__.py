"""`python -m mitm_balancer.testing --port P --cert-dir D --script FILE.json`: a fake provider to try things against.

Prints one line of JSON when it listens: `{"port": ..., "url": ..., "ca": ...}`. Ends on SIGINT or SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from mitm_balancer.testing.certs import make_ca
from mitm_balancer.testing.fakeprovider import LOOPBACK_NAMES
from mitm_balancer.testing.script import load

DEMO_LABELS = {"KEY-A": "a", "KEY-B": "b"}


def main(argv: list[str] | None = None) -> int:
    """Exit 0 ended by a signal, 1 a script that cannot be played, 2 usage."""
    parser = argparse.ArgumentParser(prog="python -m mitm_balancer.testing", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (0: any free one)")
    parser.add_argument("--cert-dir", type=Path, help="folder for the throw-away CA (default: a new temporary one)")
    parser.add_argument("--script", type=Path, help="JSON script; without it KEY-A and KEY-B are well")
    parser.add_argument("--name", action="append", default=[], help="another name for the certificate")
    parser.add_argument("--http2", action="store_true", help="offer HTTP/2 too")
    options = parser.parse_args(argv)
    try:
        script = json.loads(options.script.read_text()) if options.script else {"labels": DEMO_LABELS}
        asyncio.run(_run(script, options))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return 1
    return 0


async def _run(script: dict[str, Any], options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    ca = make_ca(options.cert_dir or Path(tempfile.mkdtemp(prefix="fake-provider-")))
    names = (*LOOPBACK_NAMES, *options.name)
    async with load(script, ca=ca, names=names, http2=options.http2, port=options.port) as fake:
        sys.stdout.write(json.dumps({"port": fake.port, "url": fake.url, "ca": str(ca.cert_path)}) + "\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
