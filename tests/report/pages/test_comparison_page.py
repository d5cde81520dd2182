"""A comparison as Markdown."""

from __future__ import annotations

import dataclasses
import re

import pytest

from scripts.analysis.run_reader import Run
from scripts.inference import comparison, paired_rounds
from scripts.inference.comparison import ArmComparison
from scripts.report.pages import comparison_page, templates
from scripts.report.tables import effect_text
from tests.fakes.synthetic_runs import campaign, on_machines, spoilt

TWO, SAME = ("1.12.0", "1.18.5"), ("1.12.0", "1.12.0")
UP = [1.01, 0.99, 1.02, 0.98, 1.0, 1.0]
CPU = "cpu_per_request_ms"
FIGURES: dict[str, tuple[list[float | None], list[float | None]]] = {
    "overhead_p50_ms": ([10.0] * 6, [12.0 * value for value in UP]),
    "overhead_p99_ms": ([100.0] * 6, [70.0, 150.0, 80.0, 140.0, 90.0, 130.0]),
    CPU: ([5.0] * 6, [4.0 * value for value in UP]),
    "first_answer_ms": ([20.0] * 6, [None] * 6),
    "ready_s": ([1.5] * 6, [1.53, None, 1.53, 1.53, 1.53, 1.53]),
}
TABLE = """\
| Metric                    |   Baseline |   Candidate |   Change |      95 % interval |   Threshold |   Rounds |                               Verdict |
|:--------------------------|-----------:|------------:|---------:|-------------------:|------------:|---------:|--------------------------------------:|
| steady throughput (rps) \u2191 |      187.6 |       187.6 |   +0.0 % |   +0.0 % to +0.0 % |       2.0 % |        6 |                      within threshold |
| response time p50 (ms) \u2193  |       1285 |        1285 |   +0.0 % |   +0.0 % to +0.0 % |       1.0 % |        6 |                      within threshold |
| overhead p50 (ms) \u2193       |      10.00 |       12.00 |  +20.0 % | +18.2 % to +21.8 % |       5.0 % |        6 |                        **regression** |
| overhead p99 (ms) \u2193       |      100.0 |       110.0 |   +5.5 % | -24.8 % to +47.8 % |      10.0 % |        6 | inconclusive: about 227 rounds needed |
| backend call p50 (ms) \u2193   |      17.40 |       17.40 |   +0.0 % |   +0.0 % to +0.0 % |       5.0 % |        6 |                      within threshold |
| CPU per request (ms) \u2193    |      5.000 |       4.000 |  -20.0 % | -21.2 % to -18.8 % |       2.0 % |        6 |                       **improvement** |
| memory start \u2193            |  800.0 MiB |   800.0 MiB |   +0.0 % |   +0.0 % to +0.0 % |       2.0 % |        6 |                      within threshold |
| memory end \u2193              |  880.0 MiB |   880.0 MiB |   +0.0 % |   +0.0 % to +0.0 % |       2.0 % |        6 |                      within threshold |
| ready (s) \u2193               |      1.500 |       1.530 |   +2.0 % |   +2.0 % to +2.0 % |      10.0 % |   5 of 6 |                      within threshold |
| first answer (ms) \u2193       |      20.00 |           \u2013 |        \u2013 |                  \u2013 |      20.0 % |   0 of 6 |                               no data |"""  # noqa: E501 - a table as it is


def judged(runs: list[Run], **what: object) -> list[ArmComparison]:
    """What these runs say, without a noise floor."""
    return comparison.judge(paired_rounds.pair(runs), {}, **what)  # type: ignore[arg-type]


def page(runs: list[Run], *, written: bool = False) -> str:
    """The whole page."""
    return comparison_page.render(paired_rounds.pair(runs), judged(runs), title="A title", written=written).decode()


def notes(runs: list[Run]) -> str:
    """What stands under the table of the first arm."""
    return "\n".join(comparison_page.notes(judged(runs)[0]))


def test_table() -> None:
    """Every verdict in its row, as it is printed."""
    assert comparison_page.table(judged(campaign(TWO, 6, FIGURES))[0].effects, 6) == TABLE


def test_interval_is_named_by_its_level() -> None:
    """Repeated verdicts on growing data use a higher level, and the heading says which."""
    (one,) = judged(campaign(TWO, 6, FIGURES), level=0.9917)
    assert "| 99.2 % interval |" in comparison_page.table(one.effects, 6).replace("  ", " ").replace("  ", " ")


def test_summary_names_what_changed_and_what_is_open() -> None:
    """One line a kind of verdict, the worst first, with the sizes."""
    where = "(fastapi static_async: 1.18.5 against 1.12.0)."
    assert comparison_page.summary(judged(campaign(TWO, 6, FIGURES))[0]) == [
        f"**regression** in overhead p50 +20.0 % {where}",
        f"**improvement** in CPU per request -20.0 % {where}",
        f"**inconclusive** in overhead p99 +5.5 % {where}",
        f"**no data** in first answer {where}",
    ]


def test_summary_within_every_threshold_says_so() -> None:
    """A comparison in which nothing moved has a line, too."""
    same: dict[str, tuple[list[float | None], list[float | None]]] = {"first_answer_ms": ([20.0] * 4, [20.0] * 4)}
    (line,) = comparison_page.summary(judged(campaign(TWO, 4, same))[0])
    assert line == "**within threshold** in every metric (fastapi static_async: 1.18.5 against 1.12.0)."


def test_only_written_pages_are_marked_as_generated() -> None:
    """A page in a terminal or a job's summary is no file: it has no marker, no picture and no relative link."""
    runs = campaign(TWO, 6, FIGURES)
    written, printed = page(runs, written=True), page(runs)
    assert written.startswith(f"{templates.MARKER}\n\n# A title\n")
    assert 'src="c0ffee123456-fastapi-static_async-2.svg"' in written
    assert "](../../docs/glossary.md)" in written
    assert not re.search("<!--|svg|\\.\\./", printed)
    assert "`docs/glossary.md`" in printed
    assert TABLE in written


def test_printed_page_is_narrower() -> None:
    """A page that is printed names the rounds that open verdicts need under the table, and not in its last column."""
    runs = campaign(TWO, 1)
    rows = [line for line in page(runs).splitlines() if line.startswith("| ")]
    assert {row.split("|")[-2].strip() for row in rows[1:]} == {"inconclusive", "no data"}
    assert "- Rounds that would decide, in all about: steady throughput 4, response time p50 4" in page(runs)
    assert "Rounds that would decide" not in page(runs, written=True)


@pytest.mark.parametrize("written", [True, False])
@pytest.mark.parametrize("excluded", [True, False])
def test_pages_have_whole_blocks(*, written: bool, excluded: bool) -> None:
    """One blank line around each heading, never two, and one end of line at the end, so that more can be appended."""
    runs = campaign(TWO, 6, FIGURES)
    text = page([*runs[:-1], spoilt(runs[-1])] if excluded else runs, written=written)
    assert "\n\n\n" not in text
    assert re.search(r"[^\n]\n\Z", text)
    assert len(re.findall("\n\n## [^\n]+\n\n", text)) == text.count("\n##") == 1 + excluded


def test_same_runs_give_the_same_bytes() -> None:
    """Also when they are found in another order."""
    runs = campaign(TWO, 6, FIGURES)
    assert page(runs) == page(runs[::-1])


def test_excluded_rounds_are_listed_and_foreign_text_cannot_break_out() -> None:
    """A reason is a code span on one line."""
    runs = campaign(TWO, 6, FIGURES)
    text = page([*runs[:-1], spoilt(runs[-1], "failed", ("a `tick`\n## and | a heading",))])
    told = "`round round-006: 1.18.5 was failed (a 'tick' ## and ¦ a heading)`"
    assert f"## Runs and rounds left out\n\n- fastapi static_async: {told}\n" in text
    assert "5 interleaved rounds" in text


def test_series_without_a_round_has_no_part() -> None:
    """Its excluded runs are still listed."""
    runs = campaign(TWO, 1)
    text = page([runs[0], spoilt(runs[1])])
    assert "## fastapi" not in text
    assert "1.18.5 was invalid" in text


def test_one_round_is_called_one_round() -> None:
    """It has figures, no interval, and needs 4."""
    runs = campaign(TWO, 1)
    assert "\n1 interleaved round of profile `compare`" in page(runs)
    assert judged(runs)[0].effects[0].baseline is not None
    assert "inconclusive: about 4 rounds needed" in page(runs, written=True)


def test_each_of_three_arms_has_its_part() -> None:
    """The second and the third against the first."""
    headings = re.findall("^## (.*)$", page(campaign(("1.11.0", *TWO), 4)), re.MULTILINE)
    where = "fastapi static_async:"
    assert headings == [f"{where} 1.12.0 against 1.11.0", f"{where} 1.18.5 against 1.11.0"]


def test_about_says_how_it_was_measured() -> None:
    """Rounds, load, machine, Python, day and campaign."""
    assert comparison_page.about(paired_rounds.pair(campaign(TWO, 6))[0]) == (
        "6 interleaved rounds of profile `compare` (100 users, 2 workers, 14 s a run), from 2026-11-01 00:00 UTC on. "
        "Machine: Example CPU, 8 cores, Python 3.11.9. Campaign `c0ffee123456`."
    )


@pytest.mark.parametrize(
    ("releases", "rounds", "profile", "told"),
    [
        (TWO, 6, "compare", "Repeat with `nox -s compare -- 1.12.0 1.18.5 --rounds 6 {} --sequential`."),
        (
            ("1.11.0", *TWO),
            4,
            "compare",
            "Repeat with `nox -s compare -- 1.11.0 1.12.0 1.18.5 --rounds 4 {} --sequential`.",
        ),
        (SAME, 8, "compare", "Repeat with `nox -s compare -- 1.12.0 --aa --rounds 8 {} --sequential`."),
        (TWO, 1, "compare", "Repeat with `nox -s compare -- 1.12.0 1.18.5 --rounds 4 {} --sequential`."),
        (TWO, 6, "duet", "Repeat with `nox -s compare -- 1.12.0 1.18.5 --rounds 6 {}`."),
        (TWO, 6, "report", "Repeat with `nox -s compare -- 1.12.0 1.18.5 --rounds 6 {} --profile report`."),
    ],
)
def test_command_that_repeats_it(releases: tuple[str, ...], rounds: int, profile: str, told: str) -> None:
    """It names what was compared, with at least as many rounds as the session takes."""
    where = "--engine fastapi --flow static_async --python 3.11"
    (paired,) = paired_rounds.pair(campaign(releases, rounds, profile=profile))
    assert comparison_page.repeat(paired) == told.format(where)


def test_command_names_the_baseline_first_after_a_round_that_ran_backwards() -> None:
    """The first round may be excluded, and the second begins with the candidate."""
    runs = campaign(TWO, 4)
    (paired,) = paired_rounds.pair([spoilt(runs[0]), *runs[1:]])
    assert "-- 1.12.0 1.18.5 --rounds 4 " in comparison_page.repeat(paired)


def test_candidates_need_more_than_a_name() -> None:
    """No name brings back a candidate, nor a release on the dependencies of another day."""
    releases = ("1.12.0+asof.20250124", "1.18.5+1a2b3c4d", "1.18.5+1a2b3c4d")
    assert comparison_page.repeat(paired_rounds.pair(campaign(releases, 4))[0]) == (
        "Release names alone do not repeat it: `1.12.0+asof.20250124` is 1.12.0 with its dependencies as of 2025-01-24 "
        "and `1.18.5+1a2b3c4d` is a candidate, which needs its wheels or source again."
    )


def test_installed_packages_that_differ_are_listed() -> None:
    """Folded away, with both versions; text of a version cannot become HTML."""
    assert "<summary>1 installed package differs.</summary>promptflow 1.12.0 to 1.18.5</details>" in notes(
        campaign(TWO, 4)
    )
    assert "Both ran with the same installed packages" in notes(campaign(SAME, 4))
    assert "1.18.5&lt;b&gt;" in notes(campaign(("1.12.0", "1.18.5<b>"), 4))


def test_missing_noise_floor_names_the_command() -> None:
    """It is the one for this engine and flow; a candidate's public version stands for it."""
    command = "`nox -s compare -- 1.12.0 --aa --engine fastapi --flow static_async --python 3.11 --sequential`"
    assert f"No noise floor has been measured under these conditions. To measure it, run {command}." in notes(
        campaign(TWO, 4)
    )
    assert command in notes(campaign(("1.12.0+1a2b3c4d", "1.18.5"), 4))


def test_runs_of_one_release_are_the_noise_floor() -> None:
    """Their page does not ask for one."""
    told = notes(campaign(SAME, 4))
    assert "every change here is noise" in told
    assert "No noise floor" not in told


def test_larger_noise_floor_is_the_threshold() -> None:
    """The threshold says that it is noise; a smaller noise floor leaves the metric's minimum effect."""
    paired = paired_rounds.pair(campaign(TWO, 6, FIGURES))
    key = next(iter(comparison.noise_floors(paired_rounds.pair(campaign(SAME, 6)))))[:3]
    floors = {(*key, CPU): 0.1, (*key, "overhead_p50_ms"): 0.001}
    (one,) = comparison.judge(paired, floors)
    shown = {effect.metric.name: effect_text.threshold(effect) for effect in one.effects}
    assert (shown[CPU], shown["overhead_p50_ms"]) == ("10.5 % (noise)", "5.0 %")
    assert "No noise floor" not in "\n".join(comparison_page.notes(one))


def test_adjustment_shows_its_slope_and_the_speed_covariate() -> None:
    """A speed covariate that surely differs is set in bold; one that does not is within noise."""
    covariate: list[float | None] = [1.0, 1.1, 0.9, 1.05, 0.95, 1.0]
    for factor, told in (
        (1.0, "The speed covariate itself differs by +0.0 % (+0.0 % to +0.0 %), which is within noise."),
        (1.2, "**The speed covariate itself differs by +20.0 % (+20.0 % to +20.0 %).** One release may"),
    ):
        moved = [value and value * factor for value in covariate]
        text = notes(campaign(TWO, 6, {"speed_covariate_ms": (covariate, moved), CPU: (covariate, covariate)}))
        assert "CPU per request 1.00." in text
        assert told in text


def test_metrics_that_miss_rounds_are_named() -> None:
    """A reader learns how many rounds are left out of which metrics, and why."""
    assert "Left out of first answer: 4 of 4 rounds, because a run lacks the metric." in notes(campaign(TWO, 4))
    first, *others = campaign(TWO, 6)
    runs = [dataclasses.replace(first, distrusted=("truncated: 58 `requests`",)), *others]
    assert (
        "Left out of response time p50, overhead p50, overhead p99 and backend call p50: 1 of 6 rounds, "
        "because a run is truncated (`truncated: 58 'requests'`)."
    ) in notes(runs)


@pytest.mark.parametrize(
    ("identities", "words"), [(("a" * 12, "b" * 12), "2 machines of one kind"), (("",), "Machine")]
)
def test_rounds_of_several_machines(identities: tuple[str, ...], words: str) -> None:
    """The line on how it was measured says how many machines there were, where records tell them apart."""
    (paired,) = paired_rounds.pair(on_machines(campaign(TWO, 6, FIGURES), identities))
    assert f" UTC on. {words}: " in comparison_page.about(paired)


@pytest.mark.parametrize(
    ("cpu", "identities", "told"),
    [
        (4.0, ("a", "b"), "2 machines of one kind made 3 and 3 rounds. They do not disagree on any metric ("),
        (6.0, ("a", "b"), "**They disagree on CPU per request (-20.0 % and +20.0 %)**, by analysis of variance"),
        (6.0, ("a", "b", "c", "d", "e", "f"), "Whether they agree cannot be told: that takes two machines with two"),
    ],
)
def test_machines_that_disagree_are_told(cpu: float, identities: tuple[str, ...], told: str) -> None:
    """A reader learns whether the machines that shared the rounds agree; `cpu`: what the second of two has seen."""
    seen = [
        value * (4.0 if number % 2 == 0 else cpu) for number, value in enumerate([1.001, 1.001, 0.999, 0.999, 1.0, 1.0])
    ]
    assert told in notes(on_machines(campaign(TWO, 6, {CPU: ([5.0] * 6, seen)}), identities))


def test_rounds_of_one_machine_have_no_note_on_machines() -> None:
    """Where there is nothing to agree, nothing is said."""
    assert "machines" not in notes(campaign(TWO, 6, FIGURES))
