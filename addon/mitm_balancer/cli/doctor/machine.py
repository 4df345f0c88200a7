"""Python, mitmproxy, and the port."""

from __future__ import annotations

import re
import socket
import sys
from importlib import metadata

from mitm_balancer.cli.doctor.model import Bench, Finding, Findings, fail, ok, warn

PYTHON = (3, 12)
"""The oldest that the package is written for."""

MITMPROXY = ">=12.2,<12.4"
"""When the package's own metadata cannot be read: the same range as in pyproject.toml (a test compares them)."""


def python(_: Bench) -> Findings:
    """The interpreter that runs this."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < PYTHON:
        wanted = ".".join(map(str, PYTHON))
        yield fail("python", f"{version} is too old", f"install Python {wanted} or newer, and the balancer with it")
    else:
        yield ok("python", f"{version} ({sys.executable})")


def mitmproxy(_: Bench) -> Findings:
    """Its balanced stream builds on mitmproxy's own: versions that were not tested are told."""
    try:
        found = metadata.version("mitmproxy")
    except metadata.PackageNotFoundError:
        yield fail("mitmproxy", "is not installed beside the balancer", "pip install 'mitmproxy" + MITMPROXY + "'")
        return
    wanted = wanted_mitmproxy()
    if fits(found, wanted):
        yield ok("mitmproxy", f"{found}, within {wanted}")
    else:
        yield fail("mitmproxy", f"{found} is outside {wanted}", f"pip install 'mitmproxy{wanted}'")


def wanted_mitmproxy() -> str:
    """The range that this release states."""
    try:
        stated = metadata.requires("mitm-balancer") or []
    except metadata.PackageNotFoundError:
        stated = []
    found = (re.fullmatch(r"mitmproxy\s*([<>=!~0-9.,\s]+)", line.split(";")[0].strip()) for line in stated)
    ranges = (",".join(sorted(match[1].replace(" ", "").split(","), reverse=True)) for match in found if match)
    return next(ranges, MITMPROXY)


def fits(version: str, wanted: str) -> bool:
    """Whether a version is in a range of `>=` and `<` parts; parts of another form are not judged."""
    number = _number(version)
    for part in wanted.split(","):
        match = re.fullmatch(r"(>=|<)([0-9.]+)", part)
        if match and not (number >= _number(match[2]) if match[1] == ">=" else number < _number(match[2])):
            return False
    return True


def _number(version: str) -> tuple[int, ...]:
    found = re.match(r"[0-9.]+", version)
    return tuple(int(part) for part in found[0].strip(".").split(".")) if found else ()


def port(bench: Bench) -> Findings:
    """Whether the proxy runs, or could."""
    if bench.proxy is not None:
        yield ok("port", f"a proxy of this home listens on {bench.proxy.url} (pid {bench.proxy.pid})")
        return
    yield _free(bench)


def _free(bench: Bench) -> Finding:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", bench.port))
        except OSError as e:
            cure = f"{bench.command} run -p 0 takes any free one, and exec finds it"
            return warn("port", f"127.0.0.1:{bench.port} cannot be used: {e.strerror or e}", cure)
    return ok("port", f"127.0.0.1:{bench.port} is free; no proxy of this home runs", f"{bench.command} run")
