"""The matrix as a page for people: `PYTHONPATH=addon:tests python -m e2e.matrix.page` writes docs/fault-matrix.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from e2e.helpers import PROTOCOLS, SPEECHES
from e2e.matrix.row import HOLD_MS, STREAM, TIME_OUT_MS, WHOLE, Row, Seen
from e2e.matrix.rows import ROWS, SECTIONS

PATH = Path(__file__).resolve().parents[3] / "docs" / "fault-matrix.md"

HEAD = """# Fault matrix

What a client sees when its first account fails in this way, and how that account stands afterwards. The second account
is well unless the row says otherwise. Each row runs over real TLS against a scripted provider, in the dialects
Anthropic Messages, OpenAI Chat Completions, OpenAI Responses and Gemini, streamed and not, over HTTP/1.1 and HTTP/2,
where it makes sense: {cases} cases. The provider counts what it was asked and what it charges for.

This page is made from the tests (`tests/e2e/matrix/rows.py`); a test fails when the two differ.

- *attempts*: requests that reached the provider for one request of the client.
- *afterwards*: the first account, for the next request. *Out for this model*: another model is served by it.
- *may be billed twice*: the first account may have worked on the request (P5). It is sent again at most once, `balancer
  why` says so, and with `retry_ambiguous: false` it is not sent again: one attempt, one charge at most, and a clean
  error of the balancer's. In all other rows at most one generation is charged, with both settings.
- Rows with time-outs run with {time_out} ms in the place of `first_byte_timeout_ms`, `response_timeout_ms`,
  `first_token_timeout_ms` and `idle_timeout_ms`; those beyond `commit_hold_ms` with {hold} ms there and no
  `first_token_timeout_ms`.
- The upstream side speaks HTTP/1.1, so a GOAWAY or a refused stream of a provider cannot occur.
"""

COLUMNS = ("first account", "asked", "the client gets", "from", "attempts", "afterwards", "may be billed twice")


def page() -> str:
    """The whole text."""
    cases = sum(len(row.speeches) * len(row.forms) * len(PROTOCOLS) for row in ROWS)
    parts = [HEAD.format(cases=cases, time_out=TIME_OUT_MS, hold=HOLD_MS)]
    for title, rows in SECTIONS.items():
        parts.append(f"\n## {title}\n\n" + "".join(f"{line}\n" for line in _table(rows)))
    return "".join(parts)


def _table(rows: tuple[Row, ...]) -> Iterator[str]:
    yield f"| {' | '.join(COLUMNS)} |"
    yield "|---" * len(COLUMNS) + "|"
    for row in rows:
        yield f"| {' | '.join(_cells(row))} |"


def _cells(row: Row) -> tuple[str, ...]:
    after = row.after.value
    if row.after_gemini is not None:
        after += f" (Gemini: {row.after_gemini.value})"
    return (row.fault, _asked(row), _client(row), row.account, str(row.attempts), after, "yes" if row.ambiguous else "")


def _asked(row: Row) -> str:
    forms = {(STREAM, WHOLE): "both", (STREAM,): "streamed", (WHOLE,): "not streamed"}[row.forms]
    if row.speeches == SPEECHES:
        return forms
    return f"{forms}; {', '.join(speech.name for speech in row.speeches)}"


def _client(row: Row) -> str:
    if row.seen is Seen.ANSWER:
        return str(row.seen.value)
    return f"{row.status}: {row.seen.value}"


if __name__ == "__main__":
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(page())
