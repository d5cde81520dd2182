"""Why a release became slower or faster: what takes more or less CPU time in it, as sampled stacks show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from scripts.analysis import stacks
from scripts.analysis.metrics import METRICS
from scripts.config import python_label
from scripts.inference import lock_diff, stack_changes
from scripts.inference.gate_defaults import INSTRUCTIONS
from scripts.inference.stack_changes import Kind, StackChange, StackChanges
from scripts.records.explanations import Explanation
from scripts.report.charts import flame_graph
from scripts.report.charts.form import NARROW, WIDE
from scripts.report.charts.svg import Chart
from scripts.report.pages import templates
from scripts.report.tables import markdown
from scripts.report.tables.formatting import DASH, Markdown, code, deviation, filled, joined, listed, plain, quantity

_COUNT = next(metric for metric in METRICS if metric.name == INSTRUCTIONS)
_KINDS: tuple[tuple[Kind, str, str], ...] = (  # with its heading, and how a sentence begins that names some
    ("package", "Packages that run", "By package"),
    ("part", "Parts of promptflow behind them", "On behalf of"),
    ("function", "Functions that run", "By function"),
)
_MOST_NAMED = 3  # in a sentence
_MOST_ROWS = 15  # of a table

Counted = Mapping[tuple[str, str, str, str], float]
"""Instructions per request by release, engine, flow and Python, e.g. "3.11", where they are counted."""


def title(found: Explanation) -> str:
    """What is explained."""
    before, after = found.releases
    return f"{after} against {before}, {found.engine} {found.flow}"


def answer(found: Explanation, changes: StackChanges) -> str:
    """One line: what changed most."""
    if changes.no_claim:
        return f"no claim: {changes.no_claim}"
    largest = [(begin.lower(), one) for kind, _, begin in _KINDS for one in changes.named(kind)[:1]]
    if not largest:
        return "nothing is named: no package or function changed beyond noise by 1 % of the CPU time"
    before, after = found.releases
    named = "; ".join(f"{how} {one.name} {_signed(one.difference_ms)}" for how, one in largest)
    return f"CPU time of a request, {after} against {before}: {_signed(changes.whole.difference_ms)}; {named}"


def summary(found: Explanation, changes: StackChanges) -> list[Markdown]:
    """The answer in sentences; the first says how the whole changed."""
    return [_whole(found, changes), *_claims(changes)]


def _whole(found: Explanation, changes: StackChanges) -> Markdown:
    (before, after), whole = found.releases, changes.whole
    noise = "" if whole.is_named or changes.no_claim else "; that is within noise, or less than 1 %"
    return filled(
        "A request of {} takes {} of CPU time, and one of {} takes {}: {}{}.",
        after, _ms(whole.after_ms), before, _ms(whole.before_ms), _difference(whole), noise,
    )  # fmt: skip


def _claims(changes: StackChanges) -> Iterator[Markdown]:
    if changes.no_claim:
        yield filled("**No claim**: {}. Repeat it with more `--repeats`.", changes.no_claim)
        return
    for kind, _, begin in _KINDS:
        if named := changes.named(kind):
            more = f", and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
            yield filled("**{}**: {}{}.", begin, joined("; ", map(_claim, named[:_MOST_NAMED])), more)
    if not any(changes.named(kind) for kind, _, _ in _KINDS):
        yield plain("Nothing is named: no package or function changed beyond noise by 1 % of the CPU time.")


def _claim(change: StackChange) -> Markdown:
    """`promptflow.tracing` takes 2.10 ms less (31.0 to 4.0 % of the samples)."""
    return filled(
        "{} takes {} {} a request ({} to {} of the samples)",
        code(change.name),
        _ms(abs(change.difference_ms)),
        "less" if change.difference_ms < 0 else "more",
        f"{change.before_share * 100:.1f}",
        f"{change.after_share * 100:.1f} %",
    )


def chart(found: Explanation) -> Chart:
    """The stacks of both releases as one flame graph, by their CPU time for each request."""
    weights = [[0.0, 0.0] for _ in found.stacks]
    for repeat in found.repeats:
        for arm, run in enumerate(repeat):
            each_ms = run.cpu_ms / max(1, run.total) / len(found.repeats)
            for stack, times in run.samples:
                weights[stack][arm] += times * each_ms
    named = ((stacks.drawn(found.stack(number)), before, after) for number, (before, after) in enumerate(weights))
    return flame_graph.chart(f"CPU time of a request: {title(found)}", named)


def text(found: Explanation, changes: StackChanges, counted: Counted, picture: str = "") -> str:
    """The page; `picture`: the name of its picture, without which it is printed and not written."""
    moved = lock_diff.of_distributions(*(arm.distributions for arm in found.arms))
    return templates.text(
        "explanation.md.j2",
        written=bool(picture),
        title=f"Why: {title(found)}",
        summary=summary(found, changes),
        picture=picture,
        width=WIDE.shown_px,
        narrow=NARROW,
        parts=[{"title": heading, "table": _table(found, changes.of(kind))} for kind, heading, _ in _KINDS],
        most=_MOST_ROWS,
        counted=_counted(found, counted),
        moved=moved,
        differing=code(lock_diff.text(moved)),
        about=_about(found, changes),
        repeat=_repeat(found),
        smallest=f"{stack_changes.SMALLEST:.0%}".replace("%", " %"),
    )


def _table(found: Explanation, of_kind: Sequence[StackChange]) -> Markdown:
    before, after = found.releases
    headers = (
        "Name", f"{before}, ms a request", f"{after}, ms a request", "Change, ms", "95 % interval, ms",
        f"{before}, samples", f"{after}, samples", "Beyond noise",
    )  # fmt: skip
    rows = [
        [
            code(one.name),
            f"{one.before_ms:.3f}",
            f"{one.after_ms:.3f}",
            f"{one.difference_ms:+z.3f}",
            _interval(one),
            f"{one.before_share * 100:.1f} %",
            f"{one.after_share * 100:.1f} %",
            "yes" if one.is_named else "no",
        ]
        for one in of_kind[:_MOST_ROWS]
    ]
    return markdown.narrow(markdown.markdown(headers, rows, remarks=1))


def _interval(change: StackChange, decimals: int = 3) -> str:
    if change.low_ms is None or change.high_ms is None:
        return DASH
    return f"{change.low_ms:+.{decimals}f} to {change.high_ms:+.{decimals}f}"


def _difference(change: StackChange) -> str:
    ends = "" if change.low_ms is None else f" ({_interval(change, 2)} at 95 %)"
    return f"{_signed(change.difference_ms)}{ends}"


def _signed(ms: float) -> str:
    return f"{ms:+z.2f} ms"


def _ms(ms: float) -> str:
    return f"{ms:.2f} ms"


def _counted(found: Explanation, counted: Counted) -> str:
    """The instructions of both releases, where they are counted."""
    python = python_label.without_patch(found.python)
    before, after = (counted.get((release, found.engine, found.flow, python)) for release in found.releases)
    if before is None or after is None:
        return ""
    shown = [quantity(value, _COUNT.unit) for value in (before, after)]
    return f"{shown[0]} to {shown[1]} ({deviation(after, before)})"


def _about(found: Explanation, changes: StackChanges) -> Markdown:
    machine, profile = found.machine, found.profile
    requests = [sum(repeat[arm].requests for repeat in found.repeats) for arm in (0, 1)]
    return filled(
        "{} repeats of profile {} on {}, with py-spy {} at {} samples a second. Samples: {}. Requests meanwhile: {}. "
        "{} cores ({}), Python {}.",
        len(found.repeats), code(profile.name), found.started_at[:10], found.py_spy, found.rate_hz,
        listed([f"{number} of {release}" for number, release in zip(changes.samples, found.releases, strict=True)]),
        listed([str(number) for number in requests]), machine.cores, machine.cpu_model, found.python,
    )  # fmt: skip


def _repeat(found: Explanation) -> Markdown:
    """The command that repeats it; a candidate has to be named by whoever has it."""
    names = [release if "+" not in release else "PATH" for release in found.releases]
    python = python_label.without_patch(found.python)
    return code(
        f"nox -s explain -- {names[0]} {names[1]} --engine {found.engine} --flow {found.flow} --python {python}"
    )
