"""Pairs of releases that were loaded at once, joined into one history."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest

from scripts.analysis.metrics import METRICS
from scripts.analysis.run_reader import Run
from scripts.inference import change_points, loaded_pairs, paired_rounds, release_history
from scripts.inference.loaded_pairs import PairLogs
from scripts.inference.paired_rounds import PairedRounds
from tests.fakes import synthetic_runs
from tests.fakes.synthetic_runs import campaign

CPU = next(metric for metric in METRICS if metric.name == "cpu_per_request_ms")
RELEASES = ("1.10.0", "1.10.1", "1.11.0", "1.12.0")
LEVELS = {"1.10.0": 5.0, "1.10.1": 5.0, "1.11.0": 6.0, "1.12.0": 6.0}
ROUNDS = 6


def pair(first: str, second: str, name: str, noise: float = 0.01, seed: int = 1) -> list[Run]:
    """The runs of a campaign that loaded two releases at once."""
    rng = np.random.default_rng([seed, int(name, 16)])
    figures = [[LEVELS[release] * math.exp(rng.normal(0, noise)) for _ in range(ROUNDS)] for release in (first, second)]
    runs = campaign((first, second), ROUNDS, {CPU.name: figures}, name=name.rjust(12, "0"))
    return [_at_once(run) for run in runs]


def _at_once(run: Run) -> Run:
    requested = run.record.requested
    profile = dataclasses.replace(requested.profile, at_once=2)
    return dataclasses.replace(
        run, record=dataclasses.replace(run.record, requested=dataclasses.replace(requested, profile=profile))
    )


def chain(noise: float = 0.01) -> list[PairedRounds]:
    """Neighbours, and a bridge from the oldest to the newest."""
    ends = [*itertools.pairwise(RELEASES), (RELEASES[0], RELEASES[-1])]
    return paired_rounds.pair([run for n, (a, b) in enumerate(ends) for run in pair(a, b, f"{n:x}", noise)])


def logs(pairs: list[PairedRounds]) -> PairLogs:
    """The log ratios of CPU time, which are there."""
    found = loaded_pairs.pair_logs(pairs, CPU)
    assert found is not None
    return found


def test_model_is_the_one_of_least_squares() -> None:
    """Effects, noise and covariance are those that a general solver gives for the same differences."""
    found = logs(chain())
    design = np.zeros((len(found.ratios), len(RELEASES)))
    for row, (baseline, candidate) in enumerate(zip(found.baselines, found.candidates, strict=True)):
        design[row, baseline], design[row, candidate] = -1, 1
    solution, (squares,), *_ = np.linalg.lstsq(design[:, 1:], found.ratios, rcond=None)
    model = found.fit()
    (errors,) = model.errors
    assert model.effects[1:] == pytest.approx(solution)
    assert errors.freedom == len(found.ratios) - len(RELEASES) + 1
    assert errors.noise == pytest.approx(math.sqrt(squares / errors.freedom))
    assert errors.unit[1:, 1:] == pytest.approx(np.linalg.inv(design[:, 1:].T @ design[:, 1:]))


def test_bridge_narrows_what_it_spans() -> None:
    """The interval from the oldest to the newest release is narrower with a bridge than along the neighbours."""
    with_bridge, without = logs(chain()), logs(chain()[:-1])
    widths = [(interval := one.fit().difference(3, 0)).high - interval.low for one in (with_bridge, without)]
    assert widths[0] < 0.8 * widths[1]


def test_change_is_found_where_it_is() -> None:
    """CPU time that rose by a fifth with 1.11.0 is a change of that release alone, and of the newest since the best."""
    (found,) = release_history.of_pairs(chain(), {}, synthetic_runs.SUITE)
    assert found.at_once
    assert found.releases == RELEASES
    assert [(change.before, change.release) for change in found.changes("1.11.0")] == [("1.10.1", "1.11.0")]
    assert [one.metric.name for one in found.metrics if one.changes] == [CPU.name]
    assert [change.before in RELEASES[:2] for change in found.drift] == [True]


def test_unchanged_releases_have_no_change() -> None:
    """Of 100 chains without a change, at most one in twenty has any."""
    positives = 0
    for seed in range(100):
        runs = [run for n in range(3) for run in pair("1.10.0", "1.10.1", f"{n:x}", seed=seed)]
        one = logs(paired_rounds.pair(runs))
        positives += bool(change_points.detect(CPU, one.fit()))
    assert positives <= 5 + 3 * math.sqrt(5)


def test_false_positive_rate_is_that_of_random_signs() -> None:
    """Noise with random signs seldom looks like a change."""
    one = logs(chain(noise=0.05))
    shuffles = [loaded_pairs.signs(sum(len(pair.rounds) for pair in chain()), 500, seed) for seed in (1, 2)]
    widened = {CPU.name: change_points.widening(one, shuffles[0])}
    assert 0 < change_points.false_positives([one], shuffles[1], widened, {CPU.name: 0.0}) < 0.12


def test_pairs_without_a_common_release_are_chains_of_their_own() -> None:
    """Each has its own history; the one with the newest release comes first."""
    pairs = paired_rounds.pair([*pair("1.10.0", "1.10.1", "a"), *pair("1.11.0", "1.12.0", "b")])
    found = release_history.of_pairs(pairs, {}, synthetic_runs.SUITE)
    assert [one.releases for one in found] == [("1.11.0", "1.12.0"), ("1.10.0", "1.10.1")]


def test_round_without_the_metric_is_left_out() -> None:
    """A run that lacks a metric costs its own round."""
    runs = pair("1.10.0", "1.10.1", "a")
    runs[0] = dataclasses.replace(runs[0], values=runs[0].values | {CPU.name: None})
    assert len(logs(paired_rounds.pair(runs)).ratios) == ROUNDS - 1


def test_releases_that_no_round_joins_have_no_model() -> None:
    """A pair all of whose rounds lack the metric leaves its release without a figure, so the chain has none."""
    lost = [dataclasses.replace(run, values=run.values | {CPU.name: None}) for run in pair("1.10.1", "1.11.0", "b")]
    assert loaded_pairs.pair_logs(paired_rounds.pair([*pair("1.10.0", "1.10.1", "a"), *lost]), CPU) is None


def test_what_was_not_loaded_at_once_is_no_pair() -> None:
    """Nor is a release beside itself, nor a candidate, nor what is left of a campaign whose other records are gone."""
    apart = paired_rounds.pair(campaign(("1.10.0", "1.10.1"), ROUNDS))
    alike = paired_rounds.pair([_at_once(run) for run in campaign(("1.10.0", "1.10.0"), ROUNDS)])
    candidate = paired_rounds.pair([_at_once(run) for run in campaign(("1.10.0", "1.10.0+abc"), ROUNDS)])
    left = paired_rounds.pair(campaign(("1.10.0",), ROUNDS))
    assert release_history.of_pairs([*apart, *alike, *candidate, *left], {}, synthetic_runs.SUITE) == []
