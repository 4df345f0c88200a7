"""Where things lie: the home and the configuration (contract: Start)."""

from __future__ import annotations

import os
from pathlib import Path


def home_path(given: str | None = None) -> Path:
    """The option, else $BALANCER_HOME, else `mitm-balancer` in the XDG data folder. Absolute."""
    chosen = given or os.environ.get("BALANCER_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser().absolute() / "mitm-balancer"


def config_path(given: str | None, home: Path) -> tuple[Path, bool]:
    """The option, else $BALANCER_CONFIG, else `config.yaml` in the home; and whether somebody named it."""
    chosen = given or os.environ.get("BALANCER_CONFIG")
    if chosen:
        return Path(chosen).expanduser().absolute(), True
    return home / "config.yaml", False
