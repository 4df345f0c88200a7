"""The configuration of a running proxy: read at its start, and again when the file changes."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

from mitm_balancer.config import Config, ConfigErrors, Literal, load
from mitm_balancer.paths import config_path
from mitm_balancer.proxy.addon import Settings

logger = logging.getLogger(__name__)

GONE = 2
"""Looks in a row that do not find the file: some editors remove it before they write it anew."""


class ConfigFile:
    """The file that the settings name, or the default one, and what was read of it last without an error."""

    def __init__(self, home: Path, settings: Settings) -> None:
        self._path, self._is_named = config_path(settings.config or None, home)
        self.config = Config()
        self.problems: tuple[str, ...] = ()
        """Why the last reading kept the configuration of before; each names file, line and field."""
        self._stamp_read: tuple[int, int] | None = None
        self._looks_without = 0

    def load(self) -> None:
        """Read it. Raises ConfigErrors, and then keeps what there was. Blocks."""
        # Before the reading: what is written meanwhile is a change.
        self._stamp_read = self._stamp()
        config = load(self._path if self._is_named or self._path.exists() else None)
        _warn_if_open(config)
        self.config, self.problems = config, ()

    def read(self) -> bool:
        """The same, with the errors in `problems` and in the log; whether there are none. Blocks."""
        try:
            self.load()
        except ConfigErrors as e:
            before, self.problems = self.problems, tuple(str(error) for error in e.errors)
            for error in self.problems if self.problems != before else ():
                logger.warning("mitm-balancer: configuration not taken, the running one stays: %s", error)
        return not self.problems

    def changed(self) -> bool:
        """Whether it is another than was read last; one that is gone is none, and becomes a problem. Blocks."""
        stamp = self._stamp()
        self._looks_without = 0 if stamp is not None else self._looks_without + 1
        if self._looks_without == GONE and self.config.source is not None:
            self._stamp_read = None
            self.problems = (f"{self._path}: the file is gone; what was read of it goes on",)
            logger.warning("mitm-balancer: %s", self.problems[0])
        return stamp is not None and stamp != self._stamp_read

    def _stamp(self) -> tuple[int, int] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size


def _warn_if_open(config: Config) -> None:
    """A credential that stands in a file which other users can read is said."""
    if config.source is not None and any(isinstance(spec.credential, Literal) for spec in config.accounts):
        with contextlib.suppress(OSError):  # gone since it was read
            if config.source.stat().st_mode & 0o077:
                logger.warning(
                    "mitm-balancer: %s holds credentials and others can read it: chmod 600 it", config.source
                )
