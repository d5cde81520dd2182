"""From release to release: which campaign is shown, the changes in words, and the picture."""

from __future__ import annotations

import dataclasses
import math
import random
import re

import pytest

from scripts.analysis.metrics import METRICS
from scripts.config import matrix_file
from scripts.config.matrix import Suite
from scripts.config.support import Behaviour, Cause
from scripts.inference import comparison, paired_rounds, release_history
from scripts.inference.paired_rounds import PairedRounds
from scripts.inference.release_history import ReleaseHistory
from scripts.report.charts import history_chart, svg
from scripts.report.tables import change_table, history_text
from tests.fakes import synthetic_runs
from tests.fakes.synthetic_runs import campaign

RELEASES = ("1.10.0", "1.10.1", "1.11.0", "1.12.0")
ROUNDS = 5
CPU = "cpu_per_request_ms"


def moving(changes: dict[str, float], noise: float = 0.01) -> list[list[float | None]]:
    """Figures of a metric for every release; `changes`: factors from a release on."""
    rng = random.Random(3)  # noqa: S311 - draws test data
    arms: list[list[float | None]] = []
    factor = 1.0
    for release in RELEASES:
        factor *= changes.get(release, 1.0)
        arms.append([6.0 * factor * math.exp(rng.gauss(0, noise)) for _ in range(ROUNDS)])
    return arms


def paired(**others: list[list[float | None]]) -> PairedRounds:
    """A campaign over releases; the speed covariate has noise of its own."""
    covariate = moving({}, noise=0.02)
    figures = {comparison.COVARIATE: covariate, CPU: moving({"1.11.0": 1.2})} | others
    (found,) = paired_rounds.pair(campaign(RELEASES, ROUNDS, figures))
    return found


@pytest.fixture(scope="module")
def shown() -> ReleaseHistory:
    """A campaign in which CPU time rose by a fifth with 1.11.0."""
    return release_history.history(paired(), {}, synthetic_runs.SUITE)


def rows_of(suite: Suite, found: ReleaseHistory, word: str = "CPU") -> list[list[str]]:
    """The rows of the table of changes that name a word, cell by cell."""
    lines = change_table.table(suite, [found]).text.splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if word in line]


def test_changes_in_words(shown: ReleaseHistory) -> None:
    """A change is shown with its release, size, interval, and whether it is an improvement."""
    ((release, _, scenario, change, interval, better, why, came_with),) = rows_of(synthetic_runs.SUITE, shown)
    assert release == "[1.11.0](v1.11.0/README.md)"
    assert scenario == "fastapi static_async"
    assert re.fullmatch(r"\+(1[89]|2[01])\.\d %", change)
    assert re.fullmatch(r"\+\d+\.\d % to \+\d+\.\d %", interval)
    assert (better, why, came_with) == ("no", "", "")


def test_noise_floor_hides_what_a_release_differs_from_itself_by() -> None:
    """A change below the noise floor of an A/A campaign under the same conditions is none."""
    found = paired()
    floors = comparison.noise_floors(paired_rounds.pair(campaign(("1.12.0",) * 2, ROUNDS, name="aa")))
    key = next(iter(floors))
    here = release_history.history(found, {(*key[:3], CPU): math.log(1.5)}, synthetic_runs.SUITE)
    assert not rows_of(synthetic_runs.SUITE, here)
    elsewhere = release_history.history(found, {("other", *key[1:3], CPU): math.log(1.5)}, synthetic_runs.SUITE)
    assert rows_of(synthetic_runs.SUITE, elsewhere)


def test_false_positives_are_few(shown: ReleaseHistory) -> None:
    """The share of permuted campaigns with a change point is given, and small."""
    assert 0 <= shown.false_positives <= 0.1


def test_panels_have_their_units(shown: ReleaseHistory) -> None:
    """Memory is in MiB, and the first release stands at its own median."""
    panels = {panel.title: panel for panel in map(history_chart.panel, shown.metrics)}
    assert panels["memory end, MiB, lower is better"].points[0].value == pytest.approx(880)
    assert panels["CPU per request, ms, lower is better"].changes == ("1.11.0",)
    assert [point.release for point in panels["CPU per request, ms, lower is better"].points] == list(RELEASES)
    cpu = panels["CPU per request, ms, lower is better"].points[2]
    assert cpu.low < cpu.value < cpu.high


def test_picture(shown: ReleaseHistory) -> None:
    """Every release that has the engine stands on the axis, measured or not, and behaviour changes are named."""
    panels = [history_chart.panel(metric) for metric in shown.metrics]
    suite = synthetic_runs.SUITE
    chart = history_chart.over_releases(suite, "A title", "fastapi", "static_async", panels, bars="with interval")
    light = svg.draw(chart).light.decode()
    for release in suite.releases:
        assert (f">{release.version}<" in light) == suite.has_engine(release, suite.engine("fastapi"))
    assert "1.16.0: inputs and outputs are logged by default" in light
    assert "CPU per request" in light


def test_a_metric_that_a_run_does_not_tell_has_no_panel() -> None:
    """Where a figure is missing there is no panel, and the others stay."""
    found = paired(ready_s=[[1.0] * ROUNDS, [None] * ROUNDS, [1.0] * ROUNDS, [1.0] * ROUNDS])
    titles = [one.metric.words for one in release_history.history(found, {}, synthetic_runs.SUITE).metrics]
    assert "ready" not in titles
    assert "CPU per request" in titles


@pytest.mark.parametrize(
    ("releases", "rounds", "chosen"),
    [
        (RELEASES, 5, True),
        (RELEASES[:2], 5, False),
        ((*RELEASES, "1.12.0+candidate"), 5, False),
        (RELEASES, 2, False),
        (("1.12.0",) * 4, 5, False),
        (("1.10.0", "1.12.0", "1.18.5"), 5, False),
        (RELEASES[::-1], 5, False),
        ((*RELEASES, "1.11.0"), 5, False),
        (("0.9.7", "0.9.8", "0.9.9"), 5, False),
    ],
)
def test_which_campaigns_are_over_releases(releases: tuple[str, ...], rounds: int, *, chosen: bool) -> None:
    """Three releases at least that follow each other, none twice or unknown, and enough rounds for change points."""
    assert bool(release_history.newest(paired_rounds.pair(campaign(releases, rounds)), synthetic_runs.SUITE)) == chosen


def test_an_engine_that_left_is_passed_over() -> None:
    """Campaigns of an engine or flow that suite.toml no longer has, or that releases cannot serve, are passed over."""
    suite = dataclasses.replace(synthetic_runs.SUITE, engines=synthetic_runs.SUITE.engines[:1])
    assert release_history.newest(paired_rounds.pair(campaign(RELEASES, 5)), suite) == {}


def test_a_change_of_the_covariate_is_listed() -> None:
    """Adjusted figures leave out the change of a release's own covariate, so that stands beside the changes."""
    covariate = [[1.3] * ROUNDS, [1.3] * ROUNDS, [1.6] * ROUNDS, [1.6] * ROUNDS]
    noisy: list[list[float | None]] = [[v * (1 + 0.001 * n) for n, v in enumerate(arm)] for arm in covariate]
    found = release_history.history(paired(**{comparison.COVARIATE: noisy}), {}, synthetic_runs.SUITE)
    assert any(
        "**1.11.0**: speed covariate rose by" in one and "leave" in one for one in history_text.of_covariate(found)
    )


def test_the_campaign_with_most_releases_is_shown() -> None:
    """Of several campaigns of a scenario the one with most releases, and of equals the newest."""
    small = campaign(RELEASES[:3], 5, name="small", first=60)
    older = campaign(RELEASES, 5, name="older")
    newer = campaign(RELEASES, 5, name="newer", first=30)
    (found,) = release_history.newest(paired_rounds.pair([*small, *older, *newer]), synthetic_runs.SUITE).values()
    assert found.campaign == "newer"


def test_jumps_are_listed() -> None:
    """A jump of a package that serves a request is listed by its release, and beside a change of that release."""
    figures = {comparison.COVARIATE: moving({}, noise=0.02), CPU: moving({"1.11.0": 1.2})}
    runs = []
    for run in campaign(RELEASES, ROUNDS, figures):
        observed = run.record.observed
        assert observed is not None
        version = "20.1.0" if run.record.requested.release < "1.11.0" else "22.0.0"
        record = dataclasses.replace(
            run.record, observed=dataclasses.replace(observed, distributions={"gunicorn": version})
        )
        runs.append(dataclasses.replace(run, record=record))
    (found,) = paired_rounds.pair(runs)
    shown = release_history.history(found, {}, synthetic_runs.SUITE)
    assert history_text.jumps(shown) == ["1.11.0: gunicorn 20.1.0 to 22.0.0"]
    assert rows_of(synthetic_runs.SUITE, shown)[0][-1] == "gunicorn 20.1.0 to 22.0.0"


def test_behaviours_stand_beside_changes() -> None:
    """What is known to have changed in promptflow stands beside the changes of that release, and of no other."""
    found = release_history.history(paired(), {}, synthetic_runs.SUITE)
    for since, there in (("1.11.0", True), ("1.12.0", False)):
        behaviour = Behaviour(since=since, what="tracing is off by default")
        suite = dataclasses.replace(synthetic_runs.SUITE, behaviours=(behaviour,))
        assert (rows_of(suite, found)[0][-1] == "tracing is off by default") == there


def test_why_it_changed_is_said_where_that_is_known() -> None:
    """A cause stands beside the metrics and engines that it explains, and once under the table."""
    causes = tuple(
        Cause(release=release, metrics=(metric,), engines=engines, text=f"Because of {release} {engines}")
        for release, metric, engines in (
            ("1.12.0", CPU, ()), ("1.11.0", "ready_s", ()), ("1.11.0", CPU, ("flask",)), ("1.11.0", CPU, ("fastapi",)),
        )
    )  # fmt: skip
    suite = dataclasses.replace(synthetic_runs.SUITE, causes=causes)
    found = release_history.history(paired(), {}, suite)
    assert rows_of(suite, found)[0][-2] == "(1)"
    assert change_table.table(suite, [found]).causes == ("Because of 1.11.0 ('fastapi',)",)


@pytest.mark.parametrize(("release", "above"), [(None, ""), ("1.11.0", "../")])
def test_a_change_leads_to_its_explanation(release: str | None, above: str) -> None:
    """Beside a change that is explained stands a link to the page, from the results and from a release's own page."""
    found = release_history.history(paired(), {}, synthetic_runs.SUITE)
    (change,) = [one for metric in found.metrics for one in metric.changes if one.metric.name == CPU]
    explained = {(change.release, change.before, found.engine, found.flow): "explanations/x.md"}
    text = change_table.table(synthetic_runs.SUITE, [found], release, explained).text
    assert f"[profile]({above}explanations/x.md)" in text


def test_causes_name_metrics_that_change_points_have() -> None:
    """Every cause of suite.toml explains metrics of the histories, or it would never be shown."""
    shown = {metric.name for metric in METRICS if "history" in metric.shown_in}
    assert all(set(cause.metrics) <= shown for cause in matrix_file.load().causes)


def test_what_is_shown_exists() -> None:
    """Every metric of the picture is one of the registry's, and has a minimum effect."""
    assert all(metric.minimum_effect for metric in METRICS if "history" in metric.shown_in)


def test_drift_in_words() -> None:
    """The newest release is held against the best earlier one, with the size and the interval."""
    found = paired(**{CPU: moving({"1.10.1": 0.8, "1.11.0": 1.1, "1.12.0": 1.1})})
    lines = history_text.drift(release_history.history(found, {}, synthetic_runs.SUITE))
    (line,) = [one for one in lines if one.startswith("CPU")]
    assert re.fullmatch(r"CPU per request rose by 2\d\.\d % \(\d+\.\d % to \d+\.\d %\) since 1\.10\.1", line)
