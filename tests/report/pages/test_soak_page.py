"""The page of soaks: one row and one panel each, words for every end, and no page without a soak."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from scripts.analysis import run_reader
from scripts.inference import soaks
from scripts.inference.soaks import Soak
from scripts.records.schema import RunRecord
from scripts.report.pages import site, soak_page, soak_session
from scripts.report.tables import soak_table
from tests.fakes import synthetic_runs, synthetic_soaks
from tests.inference.test_soaks import leaks, levels_off

SUITE = synthetic_runs.SUITE


def evaluated(*records: RunRecord) -> list[Soak]:
    """These soaks, evaluated."""
    return [soaks.evaluated(synthetic_soaks.run(record)) for record in records]


def rendered(*records: RunRecord) -> str:
    """The page of these soaks."""
    page = soak_page.render(SUITE, evaluated(*records))["soak.md"]
    assert isinstance(page, bytes)
    return page.decode()


def cells(page: str, release: str) -> list[str]:
    """The row of a release."""
    rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:1] == "|")
    return next(row for row in rows if row[0] == release)


def test_row_of_a_leak() -> None:
    """A row has the load, what it served, both growths with their intervals, the drift, and the verdict in words."""
    row = cells(rendered(synthetic_soaks.record(leaks)), "1.12.0")
    assert row[:5] == ["1.12.0", "fastapi", "static_async", "60", "30"]
    assert row[6] == "0"
    for growth in row[7:9]:
        slope, low, _, high = growth.replace("(", "").replace(")", "").split()
        assert float(low) < 3.33 < float(high)  # 30 MiB in 1800 s of 50 requests a second
        assert float(slope) == pytest.approx(3.33, rel=0.1)
    assert row[9].startswith(("+", "-"))
    assert row[10].startswith("memory grows by 3.")
    assert "MiB per 10,000 requests, which is 1 GiB in about 17 hours; no drift of overhead seen" in row[10]


def test_slope_that_is_written_as_zero_has_no_minus() -> None:
    """A slope that rounds to zero is not told as a decrease."""
    one = evaluated(synthetic_soaks.record(leaks))[0]
    assert one.overhead is not None
    level = dataclasses.replace(one.overhead, slope=-1e-9)
    page = soak_page.render(SUITE, [dataclasses.replace(one, overhead=level)])["soak.md"]
    assert isinstance(page, bytes)
    assert re.match(r"\+0(\.0+)? \(-", cells(page.decode(), "1.12.0")[9])


def test_words_that_stand_nowhere_are_not_explained() -> None:
    """What 1 GiB means is told where a release needs that much in some time."""
    assert "**1 GiB**" not in rendered(synthetic_soaks.record())
    assert "**1 GiB**" in rendered(synthetic_soaks.record(leaks))


def test_page_begins_with_the_answers() -> None:
    """The first lines say of each soak what becomes of its memory and its overhead, the newest release first."""
    old = synthetic_soaks.record(leaks)
    new = synthetic_soaks.record(levels_off, lambda share: 200 + 10 * share, release="1.18.5", number=2)
    flask = synthetic_soaks.record(engine="flask", flow="static_sync", number=3)
    first, *lines = [line for line in rendered(old, new, flask).splitlines() if line.startswith("- **1")]
    assert first == "- **1.12.0 flask static_sync**: no steady growth of memory seen; no drift of overhead seen."
    assert lines[0].startswith("- **1.18.5 fastapi static_async**: memory levels off; overhead rises by ")
    assert lines[1].startswith("- **1.12.0 fastapi static_async**: memory grows by")


def test_shorter_soak_is_visible() -> None:
    """A shorter soak shows its minutes, and one of seconds that nothing is known."""
    assert cells(rendered(synthetic_soaks.record(run_time_s=600)), "1.12.0")[4] == "10"
    row = cells(rendered(synthetic_soaks.record(run_time_s=12)), "1.12.0")
    assert row[4] == "0.2"
    assert row[7:] == [
        *["\u2013"] * 3, "whether memory grows is not known; whether overhead drifts is not known",
    ]  # fmt: skip


def test_run_that_failed_in_the_middle() -> None:
    """A soak whose server died has its outcome in place of figures, and the reason below; it has no panel."""
    reason = "server was killed by signal 9; its last lines: | x"
    made = synthetic_soaks.record(outcome="failed", reasons=(reason,))
    files = soak_page.render(SUITE, evaluated(made))
    assert list(files) == ["soak.md"]
    page = rendered(made)
    assert cells(page, "1.12.0")[5:] == ["failed"] * 6
    assert "- 1.12.0 fastapi static_async: failed: `server was killed by signal 9; its last lines: \u00a6 x`" in page


def test_invalid_soak_stands_in_parentheses() -> None:
    """The figures of a soak that lost a worker do not count: they are marked, and the reason is below."""
    made = synthetic_soaks.record(leaks, outcome="invalid", reasons=("1 of the server's workers ended under load",))
    row = cells(rendered(made), "1.12.0")
    assert all(figure.startswith("(") and figure.endswith("))") for figure in row[7:10])
    assert row[10] == "invalid"
    assert "invalid: `1 of the server's workers ended under load`" in rendered(made)


def test_other_machines_have_a_table_of_their_own() -> None:
    """Soaks under other conditions stand in another table, which says in what they differ; loads and flows may."""
    here = synthetic_soaks.record(leaks, number=2)
    flask = synthetic_soaks.record(engine="flask", flow="static_sync", number=3)
    flask = dataclasses.replace(flask, digests=dataclasses.replace(flask.digests, flow="e" * 64, profile="d" * 64))
    machine = dataclasses.replace(synthetic_runs.MACHINE, cores=2)
    there = dataclasses.replace(synthetic_soaks.record(release="1.18.5", number=1), machine=machine)
    assert "Made under other conditions" not in rendered(here, flask)
    page = rendered(here, flask, there)
    assert "Made under other conditions than the first table: cores: 2, not 8.\n" in page
    assert page.index("| 1.12.0 |") < page.index("Made under other") < page.index("| 1.18.5 |")


def test_page_and_terminal_show_the_same() -> None:
    """The row of a soak on the page has the very cells that its session printed, and the answer its verdict."""
    found = evaluated(synthetic_soaks.record(leaks))
    printed = soak_session.text(found, "nox -s soak -- 1.12.0")
    assert cells(printed, "1.12.0") == cells(rendered(synthetic_soaks.record(leaks)), "1.12.0")
    assert printed.endswith("Repeat with `nox -s soak -- 1.12.0`.")
    assert soak_session.answer(found) == f"1.12.0 fastapi static_async: {soak_table.verdict(found[0])}"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (300, "about 5 minutes"),
        (5400, "about 90 minutes"),
        (108_000, "about 30 hours"),
        (1_000_000, "about 12 days"),
        (1e9, "more than 1000 days"),
    ],
)
def test_times_have_the_unit_of_people(seconds: float, text: str) -> None:
    """A time is told in minutes, hours or days, as people would, and not beyond what anybody waits for."""
    assert soak_table.lasting(seconds) == text


def test_soaks_on_disk(tmp_path: Path) -> None:
    """Without a soak nothing is derived of any; with one there are a page and pictures, and a line that leads there."""
    synthetic_runs.write(tmp_path, synthetic_runs.record())
    before = site.derive(tmp_path, SUITE).files
    assert "soak" not in before["README.md"].decode().lower()
    synthetic_soaks.write(tmp_path, synthetic_soaks.record(leaks))
    after = site.derive(tmp_path, SUITE)
    pictures = {f"soak-memory{form}{theme}.svg" for form in ("", "-narrow") for theme in ("", "-dark")}
    assert after.skipped == ()
    assert set(after.files) - set(before) == {"soak.md", *pictures}
    assert {name for name in before if before[name] != after.files[name]} == {"README.md"}
    assert "- [Soaks](soak.md): " in after.files["README.md"].decode()
    assert cells(after.files["soak.md"].decode(), "1.12.0")[10].startswith("memory grows by")


def test_page_goes_with_the_last_soak(tmp_path: Path) -> None:
    """A page of soaks that no record stands behind any more, and its pictures, are found for removal."""
    synthetic_runs.write(tmp_path, synthetic_runs.record())
    synthetic_soaks.write(tmp_path, synthetic_soaks.record())
    for name, content in site.derive(tmp_path, SUITE).files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    found = [path.relative_to(tmp_path).as_posix() for path in site.of_releases(tmp_path)]
    own = [name for name in found if name.startswith("soak")]
    assert len(own) == 5
    assert own[-1] == "soak.md"


def test_broken_soak_is_named(tmp_path: Path) -> None:
    """A soak that cannot be read is left out by name, and the others are on the page."""
    synthetic_runs.write(tmp_path, synthetic_runs.record())
    synthetic_soaks.write(tmp_path, synthetic_soaks.record())
    broken = synthetic_soaks.write(tmp_path, synthetic_soaks.record(number=2))
    (broken / "record.json").write_text("{", encoding="utf-8")
    derived = site.derive(tmp_path, SUITE)
    assert [one.path for one in derived.skipped] == [broken.relative_to(tmp_path).as_posix()]
    assert "| 1.12.0 |" in derived.files["soak.md"].decode()


def test_written_soaks_are_valid(tmp_path: Path) -> None:
    """What these tests write is a run that the rules of validity find nothing against."""
    found = run_reader.read_run(synthetic_soaks.write(tmp_path, synthetic_soaks.record()))
    assert (found.outcome, found.reasons, found.distrusted) == ("ok", (), ())
