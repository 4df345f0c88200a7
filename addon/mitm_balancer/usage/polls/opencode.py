"""OpenCode Go: rolling, weekly and monthly windows (wire-facts 21). Zen alone has nothing to ask."""

from __future__ import annotations

from mitm_balancer.providers.limits import Window
from mitm_balancer.usage.polls.model import (
    EXACT,
    Answer,
    Asking,
    Finding,
    Poll,
    Question,
    Subject,
    refused,
    unavailable,
)
from mitm_balancer.usage.polls.reading import number, part, reset, word, worth_keeping

WHAT = "OpenCode Go usage"

_MINUTES = {"rolling": 300, "weekly": 10_080, "monthly": 43_200}
"""The limits are named `5 hour`, `weekly` and `monthly` in its errors."""

_STATUS = {"rate-limited": "rate_limited", "ok": "allowed"}


def _asking(subject: Subject, _: float) -> Asking:
    url = subject.url("https://opencode.ai", "/zen/go/v1/usage")
    answer = yield Question(url, (("Authorization", f"Bearer {subject.secret.reveal()}"),))
    if answer.status == 403:
        return unavailable("This key has no Go plan, and Zen has no usage endpoint.", answer, settled=True)
    return refused(WHAT, answer) if not answer.ok else read(answer)


def read(answer: Answer) -> Finding:
    """The finding of a 2xx answer."""
    usage = part(answer.data, "usage")
    windows = []
    for name, minutes in _MINUTES.items():
        stated = part(usage, name)
        window = Window(
            name,
            number(stated.get("percent")),
            wait=answer.wait(reset(stated.get("resetsAt"))),
            status=_STATUS.get(word(stated.get("status")), ""),
            minutes=minutes,
        )
        windows += [window] if worth_keeping(window) else []
    if not windows:
        return unavailable(f"{WHAT} request gave no limits.", answer)
    return Finding(EXACT, f"{WHAT} fetched.", plan="OpenCode Go", windows=tuple(windows), raw=(answer.data,))


POLL = Poll(_asking)
