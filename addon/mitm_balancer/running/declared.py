"""The credentials of accounts that the configuration declares: read from where they are kept, at start and reload."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping

from mitm_balancer.accounts.credentials import CredentialError, resolve
from mitm_balancer.config import AccountSpec
from mitm_balancer.secrets import Secret

logger = logging.getLogger(__name__)


class Declared:
    """What was read of them last. `balancer accounts add` keeps others: see `stored_accounts`."""

    def __init__(self) -> None:
        self.secrets: Mapping[str, Secret] = {}
        """What each sends, by its name."""
        self.problems: Mapping[str, str] = {}
        """Why some send nothing, by name."""
        self._sources: Mapping[str, object] = {}

    async def read(self, specs: Iterable[AccountSpec]) -> list[str]:
        """Read those of the enabled ones; the names of those that have another credential now. Never raises.

        What cannot be read from the same place again (a password manager that is locked by now) stays as it was.
        """
        enabled = [spec for spec in specs if spec.enabled]
        read = await asyncio.gather(*map(_read, enabled))
        found = [self._or_as_before(spec, *one) for spec, one in zip(enabled, read, strict=True)]
        before, self.secrets = self.secrets, {name: secret for name, secret, _ in found if secret is not None}
        self._sources = {spec.name: spec.credential for spec in enabled}
        problems = {name: problem for name, _, problem in found if problem}
        warn_of_news(problems, self.problems)
        self.problems = problems
        return [name for name, secret in self.secrets.items() if name in before and before[name] != secret]

    def _or_as_before(
        self, spec: AccountSpec, name: str, secret: Secret | None, problem: str
    ) -> tuple[str, Secret | None, str]:
        known = self.secrets.get(name)
        if secret is not None or known is None or self._sources.get(name) != spec.credential:
            return name, secret, problem
        logger.warning("mitm-balancer: %s goes on with the credential that was read before: %s", name, problem)
        return name, known, ""


def warn_of_news(problems: Mapping[str, str], before: Mapping[str, str]) -> None:
    """Say once why an account has nothing to send."""
    for name, problem in problems.items():
        if before.get(name) != problem:
            logger.warning("mitm-balancer: %s cannot serve: %s", name, problem)


async def _read(spec: AccountSpec) -> tuple[str, Secret | None, str]:
    try:
        return spec.name, await resolve(spec.credential), ""
    except CredentialError as e:
        return spec.name, None, str(e)
    except Exception as e:  # a border: requests wait until all are read, and one source must not hold up everybody
        logger.warning("mitm-balancer: %s: its credential cannot be read", spec.name, exc_info=True)
        return spec.name, None, f"its credential cannot be read ({type(e).__name__}), see the log"
