"""Explanations as sampling would leave them: two releases, whose functions take so much CPU time."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from scripts.records.explanations import SCHEMA_VERSION, Explanation, Frame, SampledArm, SampledRun
from tests.fakes import values

TRUNK = (
    Frame(module="bin/gunicorn", function="<module>"),
    Frame(module="gunicorn/app/base.py", function="Application.run"),
)
INVOKE = Frame(module="promptflow/core/_serving/flow_invoker.py", function="AsyncFlowInvoker.invoke_async")
TRACE = Frame(module="promptflow/tracing/_trace.py", function="traced.<locals>.wrapper")
SPAN = Frame(module="opentelemetry/sdk/trace/__init__.py", function="Tracer.start_span")
DUMPS = Frame(module="python/json/__init__.py", function="dumps")
STACKS = ((*TRUNK, INVOKE), (*TRUNK, INVOKE, TRACE), (*TRUNK, INVOKE, TRACE, SPAN), (*TRUNK, DUMPS))
REQUESTS = 400
RATE_HZ = 250


def explanation(
    runs: Sequence[tuple[Mapping[int, int], Mapping[int, int]]], stacks: Sequence[tuple[Frame, ...]] = STACKS,
    *, releases: tuple[str, str] = ("1.17.0", "1.17.1"), identity: str = "20261128T071500Z-0a1b2c",
) -> Explanation:  # fmt: skip
    """`runs`: of each repeat how often each stack was seen, by its number, in both releases."""
    frames = tuple(dict.fromkeys(frame for stack in stacks for frame in stack))
    return Explanation(
        schema_version=SCHEMA_VERSION,
        id=identity,
        started_at="2026-11-28T07:15:00+00:00",
        engine="fastapi",
        flow="static_async",
        profile=values.PROFILE,
        python="3.11.9",
        machine=values.MACHINE,
        py_spy="0.4.3",
        rate_hz=RATE_HZ,
        arms=(_arm(releases[0]), _arm(releases[1])),
        frames=frames,
        stacks=tuple(tuple(frames.index(frame) for frame in stack) for stack in stacks),
        repeats=tuple((_run(before), _run(after)) for before, after in runs),
    )


def drawn(
    before: Mapping[int, float], after: Mapping[int, float], repeats: int, seed: int,
    stacks: Sequence[tuple[Frame, ...]] = STACKS,
) -> Explanation:  # fmt: skip
    """Samples drawn about the means that each stack has; each run is as fast as its machine just is."""
    rng = random.Random(seed)  # noqa: S311 - draws test data
    runs = []
    for _ in range(repeats):
        speeds = [rng.gauss(1, 0.03) for _ in range(2)]
        runs.append((_noisy(before, speeds[0], rng), _noisy(after, speeds[1], rng)))
    return explanation(runs, stacks)


def _noisy(means: Mapping[int, float], speed: float, rng: random.Random) -> dict[int, int]:
    """Poisson's numbers, as the normal distribution gives them; a garbage collection hits one stack in some runs."""
    numbers = {stack: max(0, round(rng.gauss(mean * speed, (mean * speed) ** 0.5))) for stack, mean in means.items()}
    if rng.random() < 0.3:  # about as often as 400 requests bring a full one
        numbers[rng.choice(list(numbers))] += 18
    return numbers


def _run(numbers: Mapping[int, int]) -> SampledRun:
    total = sum(numbers.values())
    return SampledRun(
        requests=REQUESTS, failed=0, cpu_ms=max(total, 1) * 1000 / RATE_HZ / REQUESTS, unread=0,
        samples=tuple((stack, times) for stack, times in sorted(numbers.items()) if times),
    )  # fmt: skip


def _arm(release: str) -> SampledArm:
    return SampledArm(
        release=release, digests=values.RECORD.digests, distributions={"promptflow": release, "opentelemetry-sdk": "1"},
        workers=1, threads=1,
    )  # fmt: skip
