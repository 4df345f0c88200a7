"""All agents whose credentials can be imported. Adding one is adding a file with `look` and `parse`, and a row here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from mitm_balancer.accounts.importing import aider, claude, codex, copilot, envfile, gemini, kimi, ocbalancer, opencode
from mitm_balancer.accounts.importing.model import Harvest, Place, Surroundings
from mitm_balancer.accounts.importing.reading import read


@dataclass(frozen=True, slots=True)
class Source:
    """One agent. Neither function raises: what goes wrong is in the harvest's problems."""

    name: str
    title: str
    look: Callable[[Harvest, Surroundings], None]
    """In all its places."""
    parse: Callable[[bytes, Place, Harvest, Surroundings], None]
    """One of its files, wherever it comes from."""


SOURCES = {
    source.name: source
    for source in (
        Source("claude", "Claude Code", claude.look, claude.parse),
        Source("codex", "Codex", codex.look, codex.parse),
        Source("opencode", "opencode", opencode.look, opencode.parse),
        Source("gemini", "Gemini CLI", gemini.look, gemini.parse),
        Source("copilot", "GitHub Copilot", copilot.look, copilot.parse),
        Source("kimi", "Kimi CLI", kimi.look, kimi.parse),
        Source("aider", "aider", aider.look, aider.parse),
        Source("env", "the environment", envfile.look, envfile.parse),
        Source("opencode-balancer", "opencode-balancer", ocbalancer.look, ocbalancer.parse),
    )
}


def search(around: Surroundings, names: Iterable[str] = SOURCES) -> list[Harvest]:
    """What these sources have, in their order."""
    harvests = [Harvest(name) for name in names]
    for harvest in harvests:
        SOURCES[harvest.agent].look(harvest, around)
    return harvests


def search_file(around: Surroundings, name: str, path: Path) -> Harvest:
    """What a file holds, read as one of that agent's."""
    harvest = Harvest(name)
    place = around.place(path.absolute())
    with harvest.piece(place.text):
        data = read(path)
        if data is None:
            harvest.problem(place.text, "does not exist")
        else:
            SOURCES[name].parse(data, place, harvest, around)
    return harvest


def search_bytes(around: Surroundings, name: str, data: bytes) -> Harvest:
    """What came through a pipe, read as one of that agent's files."""
    harvest = Harvest(name)
    SOURCES[name].parse(data, Place("standard input"), harvest, around)
    return harvest
