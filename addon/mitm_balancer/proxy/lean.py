"""`balancer run`: mitmproxy with no more addons than balancing needs (DESIGN 3.14).

Every hook of mitmproxy walks all addons; the default forty cost a third of the CPU of a request. Here only five run.
An option that one of the others defines (`--set hardump=...`, `-s SCRIPT`) brings that one in, at its usual place.
`web` runs mitmweb's master with all of them instead.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mitmproxy import exceptions, options
from mitmproxy.addons import (
    block,
    core,
    default_addons,
    disable_h2c,
    dumper,
    keepserving,
    next_layer,
    proxyserver,
    readfile,
    tlsconfig,
)
from mitmproxy.addons import errorcheck as errorcheck_addon
from mitmproxy.master import Master

from mitm_balancer.proxy.known_options import declared, did_you_mean

new_event_loop: Callable[[], asyncio.AbstractEventLoop]
try:
    import uvloop
except ImportError:  # Windows and PyPy have none
    new_event_loop = asyncio.new_event_loop
else:
    new_event_loop = uvloop.new_event_loop

logger = logging.getLogger(__name__)

LEAN = (core.Core, disable_h2c.DisableH2C, proxyserver.Proxyserver, next_layer.NextLayer, tlsconfig.TlsConfig)
"""disable_h2c stays because plain HTTP that is not ours must pass as it does through mitmdump."""

CHATTY = ("mitmproxy.proxy.server", "mitmproxy.proxy.mode_servers")
"""Loggers that tell of every connection; heard with `verbose` only."""

NEVER_HEARD = ("tornado", "asyncio", "hpack", "quic")
"""As mitmproxy's own programs have it: hpack tells every header of an HTTP/2 client, its credential too (P7)."""

type Address = tuple[str, int]


class LeanError(Exception):
    """The proxy cannot start. `usage`: because of what was asked for, not because of the machine."""

    def __init__(self, message: str, *, usage: bool = False) -> None:
        super().__init__(message)
        self.usage = usage


@dataclass(frozen=True, slots=True)
class LeanOptions:
    """What to run; the names are mitmdump's."""

    home: Path
    """Holds the CA, under mitmproxy's own file names."""
    config: str = ""
    listen_host: str = "127.0.0.1"
    listen_port: int = 8080
    """0: any free one."""
    mode: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    """`name=value`, as mitmdump's `--set` takes it."""
    quiet: bool = False
    verbose: bool = False
    web: bool = False


class Ready:
    """Last in the chain: everything has started when its `running` is called."""

    name = "balancer_ready"

    def __init__(self, master: Master, told: Callable[[Sequence[Address]], None]) -> None:
        self.master = master
        self.told = told

    def running(self) -> None:
        for name in self.master.options.deferred:
            logger.warning(
                "no addon and no script knows the option %s%s", name, did_you_mean(name, self.master.options.keys())
            )
        self.told([(a[0], a[1]) for a in self.master.addons.get("proxyserver").listen_addrs()])
        # What lives now lives to the end: the collector need not look at it again.
        gc.collect()
        gc.freeze()


def run(lean: LeanOptions, balancer: object, told: Callable[[Sequence[Address]], None]) -> int:
    """Serve until SIGINT or SIGTERM; `told` gets the addresses once it listens. Returns the exit code.

    `balancer` is our addon. Raises LeanError for what a user can put right."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(_serve(lean, balancer, told))


async def _serve(lean: LeanOptions, balancer: object, told: Callable[[Sequence[Address]], None]) -> int:
    _set_log_levels(lean)
    try:
        master = _web_master(lean, balancer) if lean.web else _lean_master(lean, balancer)
        master.addons.add(Ready(master, told))
        # Each option was set before its addon was in the chain: tell all of what differs from the defaults.
        opts = master.options
        opts.changed.send(updated={"confdir", *filter(opts.has_changed, opts.keys())})
    except exceptions.OptionsError as e:
        raise LeanError(str(e), usage=True) from e
    _handle_signals(master)
    try:
        await master.run()
    except OSError as e:  # mitmweb's own port
        raise LeanError(e.strerror or str(e)) from e
    asyncio.get_running_loop().set_exception_handler(_quiet_end)
    return 0


def _quiet_end(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Open client connections are cancelled as the loop ends; early releases of Python 3.12 print that as a failure."""
    if not isinstance(context.get("exception"), asyncio.CancelledError):
        loop.default_exception_handler(context)


def _set_log_levels(lean: LeanOptions) -> None:
    logging.getLogger().setLevel(logging.DEBUG if lean.verbose else logging.INFO)
    for name in NEVER_HEARD if lean.verbose else (*NEVER_HEARD, *CHATTY):
        logging.getLogger(name).setLevel(logging.WARNING)


def _options(lean: LeanOptions) -> options.Options:
    """Set before any addon exists, so that none ever sees a default home."""
    opts = options.Options()
    opts.update(confdir=str(lean.home), listen_host=lean.listen_host, listen_port=lean.listen_port)
    if lean.mode:
        opts.update(mode=list(lean.mode))
    opts.update_defer(balancer_home=str(lean.home), balancer_config=lean.config)
    verbosity = "error" if lean.quiet else "debug" if lean.verbose else "info"
    opts.update_defer(termlog_verbosity=verbosity)
    if lean.web:
        opts.update_defer(web_open_browser=False)
    scripts = [f"scripts={path}" for path in lean.scripts]
    opts.set(*scripts, *lean.sets, defer=True)
    return opts


def _lean_master(lean: LeanOptions, balancer: object) -> Master:
    master = Master(_options(lean), with_termlog=True)
    wanted = set(master.options.deferred)
    kept: tuple[type[Any], ...] = LEAN
    if "balancer_allow_remote" in wanted:
        kept = (*LEAN, block.Block)  # other machines may come, the internet still may not
    available = [*default_addons(), dumper.Dumper(), keepserving.KeepServing(), readfile.ReadFile()]
    chosen = [addon for addon in available if isinstance(addon, kept) or declared(addon) & wanted]
    place = next(i for i, addon in enumerate(chosen) if isinstance(addon, next_layer.NextLayer))
    master.addons.add(*chosen[:place], balancer, *chosen[place:], errorcheck_addon.ErrorCheck())
    _refuse_unknown(lean, master, available)
    return master


def _web_master(lean: LeanOptions, balancer: object) -> Master:
    from mitmproxy.tools.web.master import WebMaster  # noqa: PLC0415 - tornado and its friends take their time

    master = WebMaster(_options(lean))
    addons = master.addons
    addons.register(balancer)
    addons.chain.insert(addons.chain.index(addons.get("nextlayer")), balancer)
    _refuse_unknown(lean, master, [])
    return master


def _refuse_unknown(lean: LeanOptions, master: Master, available: Sequence[object]) -> None:
    """A script may define options later; without one, what nobody knows is a mistake."""
    missing = sorted(master.options.deferred)
    if not missing or "scripts" in {spec.partition("=")[0] for spec in lean.sets} or lean.scripts:
        return
    known = master.options.keys().union(*map(declared, available))
    raise LeanError("; ".join(f"no such option: {name}{did_you_mean(name, known)}" for name in missing), usage=True)


def _handle_signals(master: Master) -> None:
    """As mitmproxy.tools.main.run does."""
    loop = asyncio.get_running_loop()

    def stop(*_: object) -> None:
        loop.call_soon_threadsafe(master.shutdown)

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:  # Windows
            signal.signal(number, stop)
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # mitmproxy#6744
