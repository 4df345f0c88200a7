"""How each variant is started, and how the load client gets through it to the origin."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from bench import pki, proc
from bench.cases import Case
from bench.job import Job, Load

PROVIDER_HOST = "api.anthropic.com"
NAMES = {"a": "direct", "b": "mitmdump", "c": "addon", "d": "run"}
PROFILE_ENV = "BALANCER_BENCH_PROFILE"
"""Where `bench.profiled` writes its statistics."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A started variant."""

    letter: str
    port: int
    server_name: str
    ca: Path
    tunnel: str = ""
    child: proc.Child | None = None

    def job(self, load: Load) -> Job:
        watch = self.child.pid if self.child else 0
        return Job(load, self.port, self.server_name, str(self.ca), self.tunnel, watch=watch)


class Stage:
    """All processes of one case: the origin, the relay when the case asks for one, and the variants."""

    def __init__(self, case: Case, folder: Path, profile: Path | None = None) -> None:
        self.case = case
        self.folder = folder
        self.profile = profile
        self.children: list[proc.Child] = []
        self.pki = pki.make(folder)
        self.origin_port = 0
        """Of the relay where there is one: where every variant finds the origin."""

    def __enter__(self) -> Stage:
        self.origin_port = self._module("origin", self.pki.chain)
        if self.case.one_way_ms:
            self.origin_port = self._module("relay", self.origin_port, self.case.one_way_ms)
        return self

    def __exit__(self, *_: object) -> None:
        for child in reversed(self.children):
            child.stop()

    def start(self, letter: str) -> Variant:
        """Start variant a, b, c or d."""
        if letter == "a":
            return Variant(letter, self.origin_port, "localhost", self.pki.ca)
        home = self.folder / letter
        home.mkdir(mode=0o700)
        port = proc.free_port()
        child = self._start(NAMES[letter], self._command(letter, home, port), port)
        ca = home / "mitmproxy-ca-cert.pem"
        if letter == "b":
            return Variant(letter, port, "127.0.0.1", ca, f"127.0.0.1:{self.origin_port}", child)
        return Variant(letter, port, PROVIDER_HOST, ca, f"{PROVIDER_HOST}:443", child)

    def _module(self, name: str, *args: object) -> int:
        """Start a module of this package whose first argument is its port; returns the port."""
        port = proc.free_port()
        return self._start(name, proc.module(name, port, *args), port).port

    def _start(self, name: str, argv: list[str], port: int) -> proc.Child:
        env = {PROFILE_ENV: str(self.profile)} if self.profile else {}
        child = proc.start(argv, port, self.folder / f"{name}.log", env)
        self.children.append(child)
        return child

    def _command(self, letter: str, home: Path, port: int) -> list[str]:
        tail = ["--listen-host", "127.0.0.1", "-p", str(port)]
        tail += ["--set", f"ssl_verify_upstream_trusted_ca={self.pki.ca}"]
        if letter != "b":
            tail += ["--set", f"balancer_config={self._config()}", "--set", f"balancer_home={home}"]
        if letter == "d":
            return [*self._tool("balancer"), "run", *tail]
        script = "bench/passthrough.py" if letter == "b" else "addon/balancer.py"
        dump = [*self._tool("mitmdump"), "-q", "-s", script, "--set", f"confdir={home}", "--set", "flow_detail=0"]
        return dump + tail

    def _tool(self, name: str) -> list[str]:
        """The installed command beside this interpreter, or the same under the profiler."""
        if self.profile:
            return proc.module("profiled", name)
        return [str(Path(sys.executable).parent / name)]

    def _config(self) -> Path:
        """Accounts that all lead to the origin, with limits that the load never meets. JSON is YAML, too."""
        path = self.folder / "config.yaml"
        accounts = [
            {
                "provider": "anthropic",
                "alias": f"bench-{n}",
                "credential": f"sk-ant-api03-bench-{n}",
                "base_url": f"https://127.0.0.1:{self.origin_port}",
                "concurrency_limit": 200,
            }
            for n in range(self.case.accounts)
        ]
        path.touch(mode=0o600)
        policy = {"concurrency_limit": 400}
        path.write_text(json.dumps({"version": 1, "accounts": accounts, "policy": policy}, indent=1))
        return path
