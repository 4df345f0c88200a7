"""What holds until somebody changes it: settings, cooldowns, operator states, and the state that processes tell."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from mitm_balancer.store.access import Access
from mitm_balancer.store.encoding import readable, to_dict, to_json
from mitm_balancer.store.rows import CooldownRow
from mitm_balancer.store.writer import Write

type Flag = str | bool | None

_COOLDOWN_COLUMNS = ", ".join(field.name for field in dataclasses.fields(CooldownRow))


class Holding(Access):
    """The newest value of each key."""

    # Settings: what commands have set, over what the configuration says. Durable.

    def set_setting(self, key: str, value: object) -> Future[bool]:
        """Any JSON value; None removes it, so that the configuration counts again."""
        if value is None:
            sql = "DELETE FROM settings WHERE key = ?"
            return self._writer.put(Write(("setting", key), sql, (key,), durable=True))
        sql = "INSERT OR REPLACE INTO settings (key, value, at) VALUES (?, ?, ?)"
        params = (key, json.dumps(value), time.time())
        return self._writer.put(Write(("setting", key), sql, params, durable=True))

    def settings(self) -> dict[str, Any]:
        """Every setting that is set."""
        rows = dict(self._read_or_last("SELECT key, value FROM settings"))
        for write in self._writer.pending("setting"):
            rows.pop(write.params[0], None)
            if len(write.params) > 1:
                rows[write.params[0]] = write.params[1]
        return {str(key): value for key, value in readable(rows).items()}

    # Cooldowns: durable, because no account may be used before its cooldown ends (P8).

    def save_cooldown(self, row: CooldownRow) -> Future[bool]:
        """True when it is on disk; False when the store is in trouble (it is kept, and written later)."""
        marks = ", ".join("?" * len(dataclasses.fields(row)))
        sql = f"INSERT OR REPLACE INTO cooldowns ({_COOLDOWN_COLUMNS}) VALUES ({marks})"  # noqa: S608 - our own columns
        params = dataclasses.astuple(row)
        return self._writer.put(Write(("cooldown", row.name, row.model), sql, params, durable=True))

    def clear_cooldown(self, name: str, model: str | None = "") -> Future[bool]:
        """Forget one: of a model, of the whole account (""), or all that the account has (None)."""
        if model is not None:
            sql = "DELETE FROM cooldowns WHERE name = ? AND model = ?"
            return self._writer.put(Write(("cooldown", name, model), sql, (name, model), durable=True))
        sql = "DELETE FROM cooldowns WHERE name = ?"
        return self._writer.put(Write(("cooldown", name), sql, (name,), durable=True))

    def cooldowns(self) -> list[CooldownRow]:
        """All that are stored, ended ones too: `rows.remaining` tells how long each still runs."""
        query = f"SELECT {_COOLDOWN_COLUMNS} FROM cooldowns"  # noqa: S608 - our own columns
        rows = {(row.name, row.model): row for row in (CooldownRow(*found) for found in self._read_or_last(query))}
        for write in self._writer.pending("cooldown"):
            if len(write.params) > 2:
                row = CooldownRow(*write.params)
                rows[row.name, row.model] = row
            else:
                rows = {key: row for key, row in rows.items() if key[: len(write.params)] != write.params}
        return list(rows.values())

    # Operator states: durable as well; a paused account stays paused.

    def set_account_flag(self, name: str, flag: str, value: Flag) -> Future[bool]:
        """Set an operator state (`paused`, `drained`, `disabled`, ...); None and False remove it."""
        if value is None or value is False:
            sql, params = "DELETE FROM account_flags WHERE name = ? AND flag = ?", (name, flag)
            return self._writer.put(Write(("flag", name, flag), sql, params, durable=True))
        sql = "INSERT OR REPLACE INTO account_flags (name, flag, value, at) VALUES (?, ?, ?, ?)"
        full = (name, flag, json.dumps(value), time.time())
        return self._writer.put(Write(("flag", name, flag), sql, full, durable=True))

    def account_flags(self) -> dict[str, dict[str, Flag]]:
        """Every operator state that is set: account -> flag -> value."""
        query = "SELECT name, flag, value FROM account_flags"
        rows = {(name, flag): value for name, flag, value in self._read_or_last(query)}
        for write in self._writer.pending("flag"):
            rows.pop(write.params[:2], None)
            if len(write.params) > 2:
                rows[write.params[:2]] = write.params[2]
        flags: dict[str, dict[str, Flag]] = {}
        values = readable(rows)
        for name, flag in rows:
            # What is not set has no row: a value that cannot be read is one.
            flags.setdefault(str(name), {})[str(flag)] = values.get((name, flag), True)
        return flags

    # Status: batched, the last value of a key wins.

    def put_state(self, key: str, value: Mapping[str, object], *, soon: bool = False) -> None:
        """Leave a value for other processes (heartbeat, status). Seen there within half a second; `soon`: at once."""
        sql = "INSERT OR REPLACE INTO state (key, value, at) VALUES (?, ?, ?)"
        self._writer.note(Write(("state", key), sql, (key, to_json(value), time.time()), durable=soon))

    def get_state(self, key: str) -> dict[str, object] | None:
        """The newest value of a key, from whichever process."""
        for write in self._writer.pending("state"):
            if write.key[1] == key:
                return to_dict(write.params[1])
        found = self._read("SELECT value FROM state WHERE key = ?", (key,))
        return to_dict(found[0][0]) if found else None
