"""DeepSeek: the balance, in each currency (wire-facts 11). There are no windows: its limit is concurrency."""

from __future__ import annotations

from mitm_balancer.usage.polls.model import (
    EXACT,
    Amount,
    Answer,
    Asking,
    Finding,
    Poll,
    Question,
    Subject,
    refused,
    unavailable,
)
from mitm_balancer.usage.polls.reading import items, number, word

WHAT = "DeepSeek balance"


def _asking(subject: Subject, _: float) -> Asking:
    url = subject.url("https://api.deepseek.com", "/user/balance")
    answer = yield Question(url, (("Authorization", f"Bearer {subject.secret.reveal()}"),))
    return refused(WHAT, answer) if not answer.ok else read(answer)


def read(answer: Answer) -> Finding:
    """The finding of a 2xx answer."""
    amounts = tuple(
        Amount("balance", remaining=left, unit=word(info.get("currency")))
        for info in items(answer.data.get("balance_infos"))
        if (left := number(info.get("total_balance"))) is not None
    )
    if not amounts:
        return unavailable(f"{WHAT} request gave no balance.", answer)
    return Finding(EXACT, f"{WHAT} fetched.", amounts=amounts, raw=(answer.data,))


POLL = Poll(_asking)
