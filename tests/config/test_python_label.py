"""Labels of arms that are compared by their Python."""

from __future__ import annotations

import pytest
from packaging.version import Version

from scripts.config import python_label
from scripts.records import limits


@pytest.mark.parametrize(
    ("release", "label"),
    [
        ("1.18.5", "1.18.5+py3.12"),
        ("1.18.5+1a2b3c4d", "1.18.5+1a2b3c4d.py3.12"),
        ("1.12.0+asof.20250124", "1.12.0+asof.20250124.py3.12"),
    ],
)
def test_label(release: str, label: str) -> None:
    """A label is a version that a record may hold, and gives the release back."""
    assert python_label.with_python(release, "3.12") == label
    assert str(Version(label)) == label
    assert limits.LABEL.fullmatch(label)
    assert python_label.without_python(label, "3.12") == release


@pytest.mark.parametrize("label", ["1.18.5", "1.18.5+py3.11", "1.18.5+py3.1", "1.18.5+xpy3.12", "1.18.5+1a2b3c4d"])
def test_other_labels_stay(label: str) -> None:
    """A label without that very Python stays as it is."""
    assert python_label.without_python(label, "3.12") == label


def test_version_as_it_is_requested() -> None:
    """The patch version is left out, where there is one."""
    assert [python_label.without_patch(version) for version in ("3.12.1", "3.12")] == ["3.12", "3.12"]
