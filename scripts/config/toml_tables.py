"""Tables of a TOML file as dataclasses: every key checked against the field's name and type, no guessing.

What is wrong is added to a list of problems, so that one error can list all of them.
"""

from __future__ import annotations

import dataclasses
import math
import re
import typing
from collections.abc import Collection, Iterator, Mapping

from scripts.config.errors import did_you_mean

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
MOST_INTEGER = 2**63 - 1  # what TOML itself promises
_SHOWN = 60  # characters of a value in a message
_WANTED: dict[object, str] = {tuple[str, ...]: "a list of strings", float: "a finite number"}


def unknown(table: Mapping[str, object], known: Collection[str], where: str) -> Iterator[str]:
    """Problems of keys that nothing reads, with the nearest known one."""
    yield from (f"{where} {key}: unknown key; {did_you_mean(key, known)}" for key in table if key not in known)


def table(value: object) -> Mapping[str, object]:
    """The value, if it is a table; else one whose only key says that it is none."""
    return value if isinstance(value, dict) else {"(not a table)": value}


def rows(cls: type, data: Mapping[str, object], key: str, problems: list[str]) -> list[object]:
    """The rows of an array of tables, `[[key]]`."""
    tables = data.get(key, [])
    if not isinstance(tables, list):
        problems.append(f"[{key}]: write [[{key}]] for each row")
        return []
    return [build(cls, table(row), f"[[{key}]] row {n}", problems) for n, row in enumerate(tables, 1)]


def named(cls: type, data: Mapping[str, object], key: str, problems: list[str]) -> list[object]:
    """The tables `[key.name]`, each with its name as a field."""
    tables = table(data.get(key, {}))
    built = []
    for name, fields in tables.items():
        if not NAME.fullmatch(name):
            problems.append(f"[{key}.{name}]: a name has letters, digits, '_', '.' and '-'")
        built.append(build(cls, {"name": name, **table(fields)}, f"[{key}.{name}]", problems))
    return built


def build(cls: type, row: Mapping[str, object], where: str, problems: list[str]) -> object:
    """Make one value of the dataclass `cls`; what is wrong is added to `problems`, and None returned."""
    hints = typing.get_type_hints(cls)
    optional = {field.name for field in dataclasses.fields(cls) if field.default is not dataclasses.MISSING}
    before = len(problems)
    problems.extend(unknown(row, hints, where))
    values: dict[str, object] = {}
    for key, hint in hints.items():
        if key not in row:
            if key not in optional:
                problems.append(f"{where}: {key} is missing")
            continue
        values[key] = _typed(row[key], hint)
        if values[key] is None:
            problems.append(f"{where} {key}: {_short(row[key])} is not {_WANTED.get(hint, hint.__name__)}")
    return cls(**values) if len(problems) == before else None


def _typed(value: object, hint: object) -> object:
    """The value as the hint says, or None; no guessing, but an int may stand for a float, which must be finite."""
    if hint == tuple[str, ...]:
        fits = isinstance(value, list) and all(isinstance(item, str) for item in value)
        return tuple(typing.cast("list[str]", value)) if fits else None
    if hint is float:
        number = float(value) if isinstance(value, float) or _is_integer(value) else math.nan
        return number if math.isfinite(number) else None
    if hint is int:
        return value if _is_integer(value) else None
    return value if type(value) is hint else None


def _is_integer(value: object) -> typing.TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MOST_INTEGER


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
