"""The webhook of `notices`: its URL is a secret that is had from its source for each notice."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import CancelledError
from urllib.parse import urlsplit

from mitm_balancer.accounts.credentials import TIMEOUT, CredentialError, resolve
from mitm_balancer.config import CredentialSource
from mitm_balancer.config.nodes import BadValueError
from mitm_balancer.config.observing import webhook_url
from mitm_balancer.ops.notices import NoticeError
from mitm_balancer.proxy.runtime import Runtime
from mitm_balancer.secrets import Secret
from mitm_balancer.upstream.ask import ask
from mitm_balancer.upstream.base import UpstreamError

logger = logging.getLogger(__name__)


class Webhook:
    """`send` is an `ops.notices.Sender`: it blocks the thread that calls it, and the work is done on the event loop."""

    def __init__(
        self,
        source: CredentialSource,
        timeout: float,
        runtime: Runtime,
        loop: Callable[[], asyncio.AbstractEventLoop | None],
    ) -> None:
        self._source, self._timeout, self._runtime, self._loop = source, timeout, runtime, loop
        self.problem: str | None = None
        """Why there is no URL, for the status."""

    def send(self, told: bytes) -> None:
        loop = self._loop()
        if loop is None or loop.is_closed():
            raise NoticeError("the proxy does not run")
        if self._runtime.insecure:
            raise NoticeError("not sent, because ssl_insecure is set")
        sending = asyncio.run_coroutine_threadsafe(self._post(told), loop)
        try:
            sending.result(TIMEOUT + self._timeout + 1)
        except (TimeoutError, CancelledError):
            sending.cancel()
            raise NoticeError("it does not answer in time") from None

    async def try_out(self) -> None:
        """Say at once what would be missing in an emergency. Nothing is sent."""
        try:
            await self._url()
        except NoticeError as error:
            logger.warning("mitm-balancer: notices.webhook: %s", error)

    async def _post(self, told: bytes) -> None:
        url = (await self._url()).reveal()
        host = urlsplit(url).hostname
        headers = (("content-type", "application/json"),)
        try:
            answer = await ask(self._runtime.upstream, "POST", url, headers=headers, body=told, timeout=self._timeout)
        except (UpstreamError, TimeoutError) as error:
            raise NoticeError(f"{host} does not answer: {error or 'time-out'}") from None
        if not 200 <= answer.status < 300:
            raise NoticeError(f"{host} answers {answer.status}")

    async def _url(self) -> Secret:
        try:
            found = webhook_url((await resolve(self._source)).reveal())
        except (CredentialError, BadValueError) as error:
            text = str(error) if isinstance(error, CredentialError) else f"{self._source}: {error}"
            self.problem = f"notices.webhook: {text}"
            raise NoticeError(text) from None
        self.problem = None
        return found
