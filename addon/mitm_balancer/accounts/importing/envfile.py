"""Keys in variables: those of the environment, and those of `.env` files."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mitm_balancer.accounts.importing.envnames import ELSEWHERE, KEYS, LOGINS
from mitm_balancer.accounts.importing.model import BadEntryError, Harvest, Place, Surroundings
from mitm_balancer.accounts.importing.reading import token
from mitm_balancer.accounts.model import Credential

_LINE = re.compile(r"\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?P<value>.*)")
_PLAIN = re.compile(r"(.*?)(?:\s#.*)?", re.DOTALL)


def look(harvest: Harvest, around: Surroundings) -> None:
    """The environment that this program was started in."""
    for name in KEYS:
        if around.env.get(name, "").strip():
            add(harvest, Place(f"${name}", variable=name), name, around.env, around)


def parse(data: bytes, place: Place, harvest: Harvest, around: Surroundings) -> None:
    """A file of `NAME=value` lines, as dotenv reads them."""
    with harvest.piece(place.text):
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise BadEntryError("is not text") from None
        found = variables(text)
        for name in KEYS:
            if found.get(name, "").strip():
                add(harvest, Place(f"{place.text}, {name}", place.path), name, found, around)


def variables(text: str) -> dict[str, str]:
    """What the lines set; the last one of a name counts. Lines that set nothing are passed over."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        matched = _LINE.fullmatch(line)
        if matched is not None:
            found[matched["name"]] = _value(matched["value"].strip())
    return found


def add(harvest: Harvest, place: Place, name: str, beside: Mapping[str, str], around: Surroundings) -> None:
    """The credential of one variable; `beside` are the variables that stand together with it."""
    with harvest.piece(place.text):
        provider = KEYS[name]
        secret = token(beside[name], f"${name}")
        for variable in ELSEWHERE.get(provider, ()):
            if beside.get(variable) or around.env.get(variable):
                raise BadEntryError(
                    f"belongs to the address in ${variable}, not to {provider}: declare that address under `providers`"
                )
        login = name in LOGINS or secret.reveal().startswith("sk-ant-oat")
        refresh = secret if provider == "copilot" else None
        harvest.add(place, provider, Credential("oauth" if login else "api", secret, refresh))


def _value(text: str) -> str:
    for quote in "\"'":
        if text.startswith(quote) and (end := text.find(quote, 1)) > 0:
            return text[1:end]
    matched = _PLAIN.fullmatch(text)
    return matched[1].strip() if matched is not None else text
