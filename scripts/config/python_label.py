"""The label of an arm that is compared by its Python: the release with that Python as local version, "1.18.5+py3.12".

So no table, history or search takes it for the release on the Python of all tables.
"""

from __future__ import annotations


def with_python(label: str, python: str) -> str:
    """The label on a Python; a candidate's "1.18.5+1a2b3c4d" becomes "1.18.5+1a2b3c4d.py3.12"."""
    return f"{label}{'.' if '+' in label else '+'}{_ending(python)}"


def without_python(label: str, python: str) -> str:
    """The label that `with_python` was given; any other stays as it is."""
    ending = _ending(python)
    return label[: -len(ending) - 1] if label.endswith((f"+{ending}", f".{ending}")) else label


def _ending(python: str) -> str:
    return f"py{python}"


def without_patch(python: str) -> str:
    """The version as it is requested: "3.12" of "3.12.1"."""
    return ".".join(python.split(".")[:2])
