"""The environment that sends an agent through the proxy and makes it trust the proxy's CA.

There is no one variable for either; these are the ones that the agents and the tools they call read: Claude Code,
Codex, opencode, Gemini CLI, Copilot CLI, aider, the SDKs; curl, git, pip, cargo, deno, the AWS and Google tools.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

PROXY = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
"""Not ALL_PROXY: some read it as SOCKS."""

BUNDLE = (
    "SSL_CERT_FILE",  # OpenSSL, Go, rustls-native-certs, httpx: Claude Code, opencode, Copilot CLI, aider, Python SDKs
    "CODEX_CA_CERTIFICATE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "DENO_CERT",
    "AWS_CA_BUNDLE",
    "CARGO_HTTP_CAINFO",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "HTTPLIB2_CA_CERTS",
)
"""They replace the system's roots, so the file holds those too."""

EXTRA = "NODE_EXTRA_CA_CERTS"
"""Adds to the roots (Claude Code, opencode, Gemini CLI, Copilot CLI): the CA alone will do, and loads faster."""

LOCAL = ("localhost", "127.0.0.1", "::1")
"""opencode's screen talks to its own local server; local models are not the proxy's business."""

MARK = "BALANCER_PROXY"
"""Tells our own programs that HTTPS_PROXY in this environment is us, not a proxy to go out through."""


def variables(proxy: str, ca: Path, bundle: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """What to set, in the order to print it. `proxy` is a URL, `environ` what the agent would inherit."""
    wanted = dict.fromkeys(PROXY, proxy)
    wanted["NO_PROXY"] = wanted["no_proxy"] = _no_proxy(environ)
    wanted |= dict.fromkeys(BUNDLE, str(bundle))
    mine = environ.get(EXTRA) in (None, "", str(ca))
    wanted[EXTRA] = str(ca) if mine else str(bundle)
    wanted["NODE_USE_ENV_PROXY"] = "1"
    wanted[MARK] = proxy
    return wanted


def without_ourselves(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for a proxy of ours: where HTTPS_PROXY is a balancer (see MARK), it is left out."""
    mark = environ.get(MARK)
    return {name: value for name, value in environ.items() if name != MARK and not (name in PROXY and value == mark)}


def _no_proxy(environ: Mapping[str, str]) -> str:
    given = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    hosts = [host.strip() for host in given.split(",") if host.strip()]
    return ",".join([*hosts, *(host for host in LOCAL if host not in hosts)])
