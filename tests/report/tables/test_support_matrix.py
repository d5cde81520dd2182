"""What each release serves: measured, tried, or unsupported with its outcome."""

from __future__ import annotations

from scripts.analysis.run_reader import Run
from scripts.config.load_profiles import SERVES
from scripts.report.tables import support_matrix
from tests.fakes import synthetic_runs

MATRIX = synthetic_runs.SUITE


def answered(engine: str = "fastapi", profile: str = "report", number: int = 1) -> Run:
    """A good run."""
    return synthetic_runs.run(synthetic_runs.record(engine=engine, profile=profile, number=number))


def word(runs: list[Run], release: str, engine: str, flow: str) -> str:
    """What the table says of one release, engine and flow."""
    tabled = [run for run in runs if run.record.requested.profile.name != SERVES]
    return support_matrix.words(MATRIX, runs, tabled)[release][engine, flow]


def test_measured_tried_and_neither() -> None:
    """A run of any profile is a measurement, one of `serves` a trial; without a run the pair is not tried."""
    runs = [answered(), answered(engine="flask", profile="serves", number=2)]
    assert word(runs, "1.12.0", "fastapi", "static_async") == "measured"
    assert word(runs, "1.12.0", "flask", "static_async") == "serves"
    assert word(runs, "1.12.0", "flask", "static_sync") == support_matrix.NOT_TRIED


def test_a_run_that_did_not_answer_shows_nothing() -> None:
    """A failed run of a pair that is not known as unsupported leaves it untried."""
    failed = synthetic_runs.run(synthetic_runs.record(outcome="failed", reasons=("it died",)))
    assert word([failed], "1.12.0", "fastapi", "static_async") == support_matrix.NOT_TRIED


def test_trial_that_failed_shows_its_outcome() -> None:
    """Until a later trial answers, the table says what happened."""
    failed = synthetic_runs.run(synthetic_runs.record(profile=SERVES, outcome="failed", reasons=("it died",)))
    assert word([failed], "1.12.0", "fastapi", "static_async") == "failed"
    assert word([failed, answered(profile=SERVES, number=2)], "1.12.0", "fastapi", "static_async") == "serves"


def test_figures_that_do_not_count_are_no_measurement() -> None:
    """A run that answered, but is in no table or invalid, shows that the release serves the flow, and no more."""
    run = answered()
    for tabled in ([], [synthetic_runs.spoilt(run)]):
        assert support_matrix.words(MATRIX, [run], tabled)["1.12.0"]["fastapi", "static_async"] == "serves"


def test_unsupported_pairs_show_their_outcome() -> None:
    """A pair that suite.toml declares as unsupported shows the declared outcome."""
    assert word([], "1.9.0", "fastapi", "static_async") == "not-applicable"
    assert word([], "1.8.0", "flask", "flex_async") == "failed"
    assert word([], "1.0.0", "flask", "static_async") == "verify-failed"


def test_table_has_one_row_for_releases_that_are_alike() -> None:
    """Rows are ranges, the newest first; every engine with every flow is a column, and no cell is blank."""
    text = support_matrix.table(MATRIX, [], [])
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert rows[0] == ["Release", *(f"{engine.title}, {flow}" for engine, flow in support_matrix.pairs(MATRIX))]
    assert [row[0] for row in rows[2:]] == ["1.10.0 to 1.18.5", "1.9.0", "1.1.0 to 1.8.0", "1.0.0"]
    assert all(all(row) for row in rows)


def test_every_unsupported_pair_has_its_reason() -> None:
    """Each declared pair and each engine that came later has a reason."""
    found = support_matrix.reasons(MATRIX)
    assert "not-applicable: the fastapi engine came with 1.10.0" in found
    constrained = [release for release in MATRIX.releases if release.constraints]
    assert len(found) == 1 + len(MATRIX.unsupported) + len(constrained)
    assert any(line.startswith("1.17.0 serves only with `marshmallow<3.24`: ") for line in found)
