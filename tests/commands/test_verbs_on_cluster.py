"""The verbs that carry out campaigns, on the workers of a cluster: their answers are those of one machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scripts.commands import campaign_options
from scripts.environments import candidates
from scripts.environments.candidates import Arm
from scripts.measure import session
from tests.commands.test_output import CAMPAIGNS, called, parsed
from tests.fakes import stage as stages
from tests.fakes import workers


@pytest.mark.parametrize("verb", CAMPAIGNS)
def test_same_answer(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A verb ends with the same code and answer on three workers as on this machine."""
    ended = []
    for name, number in (("here", 0), ("cluster", 3)):
        with monkeypatch.context() as patch:
            (tmp_path / name).mkdir()
            stage = stages.built(tmp_path / name, patch)
            resolve = candidates.resolve

            def travelling(*words: Any, stage: stages.Stage = stage, **options: Any) -> Arm:  # noqa: ANN401
                return workers.with_lock(stage, resolve(*words, **options))  # noqa: B023 - called in this turn

            patch.setattr(candidates, "resolve", travelling)
            if not number:
                code = called(stage, verb, "--json")
            else:
                with workers.started(stage, patch, number) as cluster:
                    options: session.Options = cluster.options
                    patch.setattr(campaign_options, "options", lambda _args, options=options: options)
                    code = called(stage, verb, "--json")
                    assert set(cluster.calls) == set(cluster.connected)
        ended.append((code, parsed(capsys.readouterr().out)["answer"]))
    assert ended[0] == ended[1]
