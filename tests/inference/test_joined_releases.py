"""A release that a campaign lacks, joined to it by pairs of releases that were loaded at once."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from scripts.analysis.metrics import METRICS
from scripts.analysis.run_reader import Run
from scripts.config.load_profiles import COMPARE, DUET
from scripts.inference import change_points, joined_releases, loaded_pairs, paired_rounds, release_history
from scripts.inference.comparison import COVARIATE
from scripts.inference.paired_rounds import PairedRounds
from scripts.inference.release_history import ReleaseHistory
from tests.fakes import synthetic_runs
from tests.fakes.synthetic_runs import campaign

CPU = next(metric for metric in METRICS if metric.name == "cpu_per_request_ms")
SUITE = synthetic_runs.SUITE
RELEASES = ("1.10.0", "1.10.1", "1.11.0", "1.12.0", "1.13.0", "1.14.0")
LEVELS = dict(zip(RELEASES, (5.0, 5.0, 6.0, 6.0, 6.0, 7.2), strict=True))  # 1.11.0 and 1.14.0 changed by a fifth
NEWER = dict.fromkeys(("1.15.0", "1.15.0.post1", "1.15.1"), 7.2)
ROUNDS = 6
AT_ONCE = 0.6  # of the figures one after the other, so that a figure that passes from one to the other would show
NOISE = 0.01


def figures(
    releases: Sequence[str], seed: int, levels: Mapping[str, float], scale: float = 1.0
) -> dict[str, list[list[float]]]:
    """CPU time of each release and round, and a covariate that says nothing."""
    rng = np.random.default_rng(seed)
    cpu = [[scale * levels[one] * math.exp(rng.normal(0, NOISE)) for _ in range(ROUNDS)] for one in releases]
    covariate = [[math.exp(rng.normal(0, NOISE)) for _ in range(ROUNDS)] for _ in releases]
    return {CPU.name: cpu, COVARIATE: covariate}


def in_turn(releases: Sequence[str], seed: int = 1, levels: Mapping[str, float] = LEVELS) -> list[Run]:
    """A campaign over releases, one after the other."""
    return campaign(releases, ROUNDS, figures(releases, seed, levels), profile=COMPARE, name="campaign")


def at_once(
    releases: Sequence[str], seed: int = 7, levels: Mapping[str, float] = LEVELS | NEWER, profile: str = DUET
) -> list[Run]:
    """Neighbours, and the first with the last, loaded at once."""
    pairs = dict.fromkeys([*itertools.pairwise(releases), (releases[0], releases[-1])])
    return [
        run
        for number, pair in enumerate(pairs, 1)
        for run in campaign(
            pair, ROUNDS, figures(pair, seed * 100 + number, levels, AT_ONCE), profile=profile,
            name=f"pair-{seed}-{number}", first=100 * seed + 10 * number,
        )
    ]  # fmt: skip


def campaigns(*runs: list[Run]) -> list[PairedRounds]:
    """All campaigns of these runs."""
    return paired_rounds.pair(itertools.chain.from_iterable(runs))


def history(found: list[PairedRounds]) -> ReleaseHistory:
    """Of the only campaign over releases."""
    (one,) = release_history.newest(found, SUITE).values()
    return release_history.history(one, {}, SUITE, found)


def changes(one: ReleaseHistory) -> list[tuple[str, str, bool]]:
    """Releases, those before, and whether it is worse."""
    return [(c.before, c.release, c.interval.estimate > 0) for m in one.metrics for c in m.changes]


def test_story_is_the_same_as_if_the_newest_had_been_in_the_campaign() -> None:
    """Taken out of the campaign and given in pairs alone, a release has the same changes, drift and place."""
    whole = history(campaigns(in_turn(RELEASES)))
    joined = history(campaigns(in_turn(RELEASES[:-1]), at_once(RELEASES[-3:])))
    assert joined.anchors == {"1.14.0": "1.13.0"}
    assert joined.releases == whole.releases == RELEASES
    assert changes(joined) == changes(whole) == [("1.10.1", "1.11.0", True), ("1.13.0", "1.14.0", True)]
    assert {one.metric.name for one in joined.drift} == {one.metric.name for one in whole.drift} == {CPU.name}
    values = [next(one for one in found.metrics if one.metric == CPU).figures[-1].value for found in (whole, joined)]
    assert values[1] == pytest.approx(values[0], rel=0.03)


def test_what_the_campaign_says_of_its_own_releases_stays() -> None:
    """Joining a release moves no figure of another, and hides no change."""
    alone = history(campaigns(in_turn(RELEASES[:-1])))
    joined = history(campaigns(in_turn(RELEASES[:-1]), at_once(RELEASES[-3:])))
    for before, after in zip(alone.metrics, joined.metrics, strict=True):
        assert after.figures[: len(before.figures)] == before.figures
    assert changes(joined)[: len(changes(alone))] == changes(alone)


def test_interval_adds_both_sources_of_noise() -> None:
    """Against its anchor only the pairs' noise counts; against older releases the campaign's adds in squares."""
    found = campaigns(in_turn(RELEASES[:-1]), at_once(RELEASES[-3:]))
    (one,) = release_history.newest(found, SUITE).values()
    join = joined_releases.find(one, found, SUITE)
    logs, (chain,) = join.logs(CPU), join.chains
    pairs = loaded_pairs.pair_logs(chain, CPU)
    assert logs is not None
    assert pairs is not None
    fit, of_pairs, of_campaign = logs.fit(), pairs.fit(), logs.in_turn.fit()
    newest, anchor = (of_pairs.releases.index(release) for release in RELEASES[:-3:-1])
    measured = of_pairs.difference(newest, anchor)
    beside = fit.difference(5, 4)
    assert (beside.estimate, beside.low, beside.high) == pytest.approx((measured.estimate, measured.low, measured.high))
    older = of_campaign.difference(4, 0)
    across = fit.difference(5, 0)
    assert across.estimate == pytest.approx(measured.estimate + older.estimate)
    halves = [(interval.high - interval.low) / 2 for interval in (across, measured, older)]
    assert halves[0] == pytest.approx(math.hypot(halves[1], halves[2]))


def test_unchanged_release_has_seldom_a_change() -> None:
    """Of 60 joins without any change, about one in twenty has any at most."""
    levels = dict.fromkeys(RELEASES, 6.0)
    no_minimum = dataclasses.replace(CPU, minimum_effect=0.0)
    positives = 0
    for seed in range(1, 61):
        found = campaigns(in_turn(RELEASES[:-1], seed, levels), at_once(RELEASES[-3:], seed, levels))
        (one,) = [each for each in found if each.campaign == "campaign"]
        logs = joined_releases.find(one, found, SUITE).logs(CPU)
        assert logs is not None
        model = logs.fit()
        positives += bool(change_points.detect(no_minimum, model) or change_points.drift(no_minimum, model, None))
    assert positives <= 3 + 3 * math.sqrt(3)


def test_second_release_hangs_on_the_same_chain() -> None:
    """Pairs of the next release share one with those of the last, and both join."""
    joined = history(
        campaigns(in_turn(RELEASES[:-2]), at_once(RELEASES[-4:-1], seed=7), at_once(RELEASES[-3:], seed=8))
    )
    assert joined.anchors == {"1.13.0": "1.12.0", "1.14.0": "1.12.0"}
    assert changes(joined) == [("1.10.1", "1.11.0", True), ("1.13.0", "1.14.0", True)]


def test_release_between_others_joins() -> None:
    """A release of an older line that came late stands in its place, and its campaign is still one over releases."""
    without = tuple(release for release in RELEASES if release != "1.12.0")
    joined = history(campaigns(in_turn(without), at_once(("1.10.1", "1.11.0", "1.12.0"))))
    assert joined.releases == RELEASES
    assert changes(joined) == [("1.10.1", "1.11.0", True), ("1.13.0", "1.14.0", True)]


def _of_other(run: Run, **others: str) -> Run:
    return dataclasses.replace(
        run, record=dataclasses.replace(run.record, digests=dataclasses.replace(run.record.digests, **others))
    )


@pytest.mark.parametrize(
    "pairs",
    [
        at_once(RELEASES[-3:], profile="duet-8x1"),
        [_of_other(run, flow="9" * 64) for run in at_once(RELEASES[-3:])],
        [_of_other(run, lock="9" * 64) for run in at_once(RELEASES[-3:])],
        at_once(tuple(NEWER)),
        at_once(("1.13.0", "1.15.0")),
    ],
    ids=["another profile", "another flow", "another lock of the anchor", "no anchor", "a release before is missing"],
)
def test_what_does_not_join(pairs: list[Run]) -> None:
    """Pairs that share no release on its lock, or were made under other conditions, or leave a gap, join nothing."""
    assert history(campaigns(in_turn(RELEASES[:-1]), pairs)).anchors == {}


def test_contradiction_is_named_and_keeps_ratios_apart() -> None:
    """Where pairs and campaign disagree about two releases, the new one is compared with its neighbour alone."""
    other = LEVELS | {"1.13.0": 6.9, "1.14.0": 7.2}
    found = campaigns(in_turn(RELEASES[:-1]), at_once(RELEASES[-3:], levels=other))
    made = history(found)
    (one,) = made.disagreements
    assert (one.metric.name, one.before, one.release) == (CPU.name, "1.12.0", "1.13.0")
    assert one.at_once.estimate == pytest.approx(math.log(6.9 / 6.0), abs=0.02)
    assert CPU.name not in {change.metric.name for change in made.drift}
    (cpu,) = [metric for metric in made.metrics if metric.metric == CPU]
    assert [figure.release for figure in cpu.figures] == list(RELEASES[:-1])
    assert [change.before for change in cpu.differences if change.release == RELEASES[-1]] == [RELEASES[-2]]
    assert history(campaigns(in_turn(RELEASES[:-1]), at_once(RELEASES[-3:]))).disagreements == ()
