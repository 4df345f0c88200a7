"""From text to `Config`: every mistake is collected before anything is raised."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

import yaml

from mitm_balancer.config.accounts import read_accounts
from mitm_balancer.config.checks import boolean, whole
from mitm_balancer.config.errors import ConfigError, ConfigErrors
from mitm_balancer.config.model import VERSION, Config, Policy, Priority, UsagePolls
from mitm_balancer.config.nodes import Report, Table, Value
from mitm_balancer.config.observing import Audit, Metrics, Notices
from mitm_balancer.config.priority import read_priority
from mitm_balancer.config.providers import read_providers
from mitm_balancer.config.rules import read_rules

KEYS = (
    "version",
    "balancing",
    "accounts",
    "providers",
    "rules",
    "priority",
    "policy",
    "usage",
    "audit",
    "metrics",
    "notices",
)


def load(path: Path | None, *, required: bool = True) -> Config:
    """Read a file. No path, or a missing file that is not `required` (nobody named it), gives the defaults.

    Raises ConfigErrors with every mistake in the file.
    """
    if path is None:
        return Config()
    try:
        content = path.read_bytes().decode()
    except FileNotFoundError:
        if not required:
            return Config()
        raise ConfigErrors([ConfigError(str(path), 0, "", "there is no such file")]) from None
    except OSError as error:
        raise ConfigErrors([ConfigError(str(path), 0, "", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigErrors([ConfigError(str(path), line, "", "expected UTF-8 text")]) from None
    return dataclasses.replace(parse(content, str(path)), source=path)


def parse(content: str, source: str) -> Config:
    """Read a text. `source` names it in errors, and its folder is where relative credential files are looked for.

    Raises ConfigErrors with every mistake in the text.
    """
    report = Report(source)
    node = _compose(content, report)
    config = Config()
    if node is not None:
        root = Value(node, "", report)
        config = (None if root.is_null else root.take(lambda root: _config(root, Path(source).parent))) or config
    if report.errors:
        raise ConfigErrors(report.errors)
    return config


def _config(root: Value, folder: Path) -> Config:
    table = root.table(KEYS)
    version = table.get("version", whole(VERSION, VERSION), VERSION)
    own = table.get("providers", _or_empty(read_providers), ())
    config = Config(version=version, providers=own)
    known = {provider.name: provider for provider in config.all_providers()}
    if (entry := table.entries.get("providers")) is not None and entry.is_table:
        # A provider with a mistake inside is still a name: its accounts are not to be blamed as well.
        declared = entry.node.value
        known |= {str(key.value): next(iter(known.values())) for key, _ in declared if str(key.value) not in known}
    return dataclasses.replace(
        config,
        balancing=table.get("balancing", boolean, True),
        accounts=table.get("accounts", _or_empty(lambda value: read_accounts(value, known, folder)), ()),
        rules=table.get("rules", _or_empty(lambda value: read_rules(value, known)), ()),
        priority=table.get("priority", _or_empty(lambda value: read_priority(value, known)), None) or Priority(),
        policy=_section(table, "policy", Policy),
        usage=_section(table, "usage", UsagePolls),
        audit=_section(table, "audit", Audit),
        metrics=_section(table, "metrics", Metrics),
        notices=_section(table, "notices", Notices),
    )


def _or_empty(read: Any) -> Any:
    """A section whose entries are all commented out is null in YAML, and means the defaults."""
    return lambda value, **options: None if value.is_null else read(value, **options)


def _section[T](table: Table, key: str, schema: type[T]) -> T:
    """A whole section of settings; left out or empty it has the defaults."""
    found: T | None = table.get(key, _or_empty(functools.partial(_settings, schema=schema)), None)
    return schema() if found is None else found


def _settings(value: Value, schema: type[Any]) -> Any:
    """An instance of a schema dataclass: nested dataclasses are tables, other fields have their own check."""
    fields = {field.name: field for field in dataclasses.fields(schema)}
    table = value.table(fields)
    found = {}
    for key, entry in table.entries.items():
        nested = fields[key].default
        check = fields[key].metadata.get("check") or functools.partial(_or_empty(_settings), schema=type(nested))
        taken = entry.take(check)
        # None: a recorded mistake, or a check whose own answer is None.
        found[key] = nested if taken is None else taken
    settings = schema(**found)
    _crosscheck(value, settings)
    return settings


def _crosscheck(value: Value, settings: Any) -> None:
    if getattr(settings, "max_ms", 0) < getattr(settings, "base_ms", 0):
        value.bad("expected max_ms to be at least base_ms")
    if isinstance(settings, Metrics) and settings.listen and not (settings.listen.is_loopback or settings.allow_remote):
        value.bad(f"{settings.listen} can be reached by others: listen on 127.0.0.1, or add allow_remote: true")


def _compose(content: str, report: Report) -> yaml.Node | None:
    try:
        return yaml.compose(content, Loader=yaml.SafeLoader)
    except yaml.reader.ReaderError as error:
        line = content[: int(error.position)].count("\n") + 1
        report.add(line, "", f"not YAML: the character #x{int(error.character):04x} is not allowed")
    except yaml.MarkedYAMLError as error:
        # Of PyYAML's texts only the kind is told: they quote the file, where a credential may stand.
        mark = error.problem_mark or error.context_mark
        report.add(mark.line + 1 if mark else 1, "", f"not YAML: {_kind(error)}")
    except RecursionError:
        report.add(1, "", "not YAML: nested too deeply")
    return None


def _kind(error: yaml.MarkedYAMLError) -> str:
    problem = str(error.problem or error.context or "syntax error")
    if any(word in problem for word in ("alias", "anchor", "tag")):
        return "an alias (*name), anchor (&name) or tag (!name) that does not fit; put texts with * & ! in quotes"
    return f"{error.context}, {problem}" if problem.startswith("but ") else problem
