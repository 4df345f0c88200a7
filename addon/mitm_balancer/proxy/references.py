"""Ids of stored resources: where a request names them, and where an answer says that it made them.

Nothing is parsed: a few literal marks decide whether bytes are looked at, then expressions find the ids. Inside JSON
strings quotes are escaped, so text that looks like a field is none.
"""

from __future__ import annotations

import itertools
import re
import urllib.parse
from collections.abc import Iterable

from mitm_balancer.core.dialect import Dialect

MOST = 64
"""Ids taken from one request or answer: a page of a list, the last items of a long conversation."""

_FILE = b"file_id"
_OPENAI = (_FILE, b"vector_store_id", b'"container"', b'"item_reference"')
_MARKS = {
    Dialect.ANTHROPIC_MESSAGES: (_FILE,),
    Dialect.OPENAI_CHAT: _OPENAI,
    Dialect.OPENAI_RESPONSES: _OPENAI,
    Dialect.GEMINI: (b'ileUri"', b'file_uri"', b'achedContent"', b'cached_content"'),
}
"""Few for each, for every request is searched for them: a megabyte costs about half a millisecond a mark."""

_NAMED = re.compile(
    rb'"(?:\w*file_id|vector_store_id|container|cached_?[cC]ontent|file_?[uU]ri)"'
    rb'\s*:\s*"([^"\\]{1,300})"'
)
_LISTED = re.compile(rb'"(?:file_ids|vector_store_ids)"\s*:\s*\[([^\[\]{}]{1,8192})\]')
_QUOTED = re.compile(rb'"([^"\\]{1,300})"')
_ID = re.compile(rb'"id"\s*:\s*"([^"\\]{1,300})"')
_ITEM = 400
"""Bytes around `item_reference` within which its item's other field stands."""

_MADE = re.compile(rb'"(?:\w*(?:file|container|response|batch|thread|assistant|run|vector_store|skill)_)?id"'
                   rb'\s*:\s*"([^"\\]{1,300})"')  # fmt: skip
_MADE_NAME = re.compile(rb'"name"\s*:\s*"([\w-]+/[\w./-]{1,200})"')
"""Google's: `files/abc`, `cachedContents/xyz`, `batches/1`."""

_MADE_UP = re.compile(r"(?=.*\d|.{20})[\w./:+=-]{12,300}")
"""An id that was generated. Names that everybody has (the skill `pptx`) belong to no account."""


def of_field(value: object) -> list[str]:
    """The ids in a field of a body: its own, and those of the skills that a container is to have."""
    skills = value.get("skills") if isinstance(value, dict) else None
    named = [skill.get("skill_id") for skill in skills if isinstance(skill, dict)] if isinstance(skills, list) else []
    return [name for name in map(id_of, (value, *named)) if name]


def id_of(value: object) -> str:
    """The id in a field that holds it as a string or as an object with an `id`; "" for anything else."""
    if isinstance(value, dict):
        value = value.get("id")
    return value if isinstance(value, str) and len(value) <= 300 else ""


def nested(body: bytes, dialect: Dialect) -> tuple[str, ...]:
    """Ids that stand anywhere in a request's body: files, containers, vector stores, cached contents, items."""
    if not any(mark in body for mark in _MARKS[dialect]):
        return ()
    found = [_bare(match) for match in _NAMED.findall(body)]
    for inside in _LISTED.findall(body):
        found += [_text(match) for match in _QUOTED.findall(inside)]
    if b'"item_reference"' in body:
        found += _items(body)
    return tuple(dict.fromkeys(found))[-MOST:]


def of_path(target: str) -> tuple[str, ...]:
    """What in a path or query may be an id: each part, and each pair of parts (`files/abc`) as Google names its own."""
    path, _, query = target.partition("?")
    parts = [urllib.parse.unquote(part) for part in path.split("/") if part]
    if parts:
        parts[-1] = parts[-1].partition(":")[0]
    pairs = [f"{before}/{after}" for before, after in itertools.pairwise(parts)]
    values = [value for _, value in urllib.parse.parse_qsl(query)]
    return tuple(name for name in (*parts, *pairs, *values) if _MADE_UP.fullmatch(name) or "/" in name)[:MOST]


def made(body: bytes) -> tuple[str, ...]:
    """Ids that an answer names. `body` may be cut anywhere."""
    found = [_text(match) for match in _MADE.findall(body)]
    names = [name for name in map(_text, _MADE_NAME.findall(body)) if not name.startswith("models/")]
    return tuple(dict.fromkeys((*generated(found), *names)))[:MOST]


def generated(names: Iterable[str]) -> list[str]:
    """Those that were generated, not given: only these belong to one account."""
    return [name for name in names if _MADE_UP.fullmatch(name)]


def _items(body: bytes) -> list[str]:
    """Ids of `{"type": "item_reference", "id": ...}`, in whichever order its fields stand."""
    found: list[str] = []
    at = body.find(b'"item_reference"')
    while at >= 0:
        start, end = body.rfind(b"{", max(0, at - _ITEM), at), body.find(b"}", at, at + _ITEM)
        if start >= 0 and end >= 0 and (match := _ID.search(body, start, end)) is not None:
            found.append(_text(match[1]))
        at = body.find(b'"item_reference"', at + 1)
    return found


def _bare(value: bytes) -> str:
    """A file's URI is its address: `https://.../v1beta/files/abc` names `files/abc`."""
    name = _text(value)
    return "/".join(name.split("/")[-2:]) if name.startswith("https://") else name


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
