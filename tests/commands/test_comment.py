"""A gate's report on a pull request: one comment, written again, and never a stranger's Markdown; GitHub is a fake."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from scripts.commands import comment
from scripts.config.errors import NothingMeasuredError, UsageError
from scripts.report.pages import github_text
from tests.fakes.github import Comment, FakeGitHub

COMMIT = "1f" * 20
OF_PULL = {"pull_request": {"number": 7, "title": "ignored"}}
OF_RUN = {
    "workflow_run": {
        "id": 99, "head_sha": COMMIT, "head_branch": "fix", "head_repository": {"owner": {"login": "stranger"}},
    }
}  # fmt: skip


class Job:
    """A GitHub job in a folder, and the GitHub that it speaks to."""

    def __init__(self, at: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.github = FakeGitHub()
        self._page, self._event = at / "gate.md", at / "event.json"
        monkeypatch.setattr(comment, "RealSystem", lambda: self.github)
        for name, value in {
            "GH_TOKEN": "token", "GITHUB_EVENT_PATH": str(self._event), "GITHUB_REPOSITORY": "owner/name",
            "GITHUB_RUN_ID": "12", "GITHUB_SERVER_URL": "https://github.example",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)

    def comment(self, page: str = "# Gate\n\n**PASS**: fine.\n", event: Mapping[str, object] = OF_PULL) -> int:
        """Call the verb with a page and an event."""
        self._page.write_text(page, encoding="utf-8")
        self._event.write_text(json.dumps(event), encoding="utf-8")
        return comment.main([str(self._page)])

    def body(self) -> str:
        """The only comment."""
        (one,) = self.github.comments.values()
        return one.body


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A job of a pull request."""
    return Job(tmp_path, monkeypatch)


def test_a_comment_has_the_report(job: Job) -> None:
    """The page is the comment, with a link to the run."""
    assert job.comment() == 0
    assert "**PASS**: fine." in job.body()
    assert "(https://github.example/owner/name/actions/runs/12)" in job.body()
    assert job.github.events[-1] == "POST repos/owner/name/issues/7/comments"


def test_a_second_report_replaces_the_first(job: Job) -> None:
    """The comment is found by its marker, and written again."""
    job.comment()
    job.comment("# Gate\n\n**FAIL**: slower.\n")
    assert "**FAIL**" in job.body()
    assert "**PASS**" not in job.body()
    assert job.github.events[-1] == "PATCH repos/owner/name/issues/comments/1"


def test_a_comment_of_a_person_stays(job: Job) -> None:
    """Somebody who writes the marker keeps their comment."""
    job.github.comments[1] = Comment(author="User", body=f"{github_text.MARKER}\nmine")
    job.comment()
    assert job.github.comments[1].body.endswith("mine")
    assert job.github.events[-1] == "POST repos/owner/name/issues/7/comments"


def test_nobody_is_mentioned(job: Job) -> None:
    """A label such as git+https://...@main calls no user of that name."""
    job.comment("candidate @main, `promptflow@team/all`")
    assert "@main" not in job.body()
    assert "@team" not in job.body()
    assert "main, `promptflow" in job.body()


def test_a_report_of_another_job_is_text(job: Job) -> None:
    """A stranger's page is shown as it is written: no link, picture, heading or tag of it lives."""
    job.github.pulls[7] = ("stranger:fix", COMMIT)
    job.comment("</pre>\n# Big\n![x](https://evil.example/x.png)\n<img src=x>\n@team\n", OF_RUN)
    _, _, rest = job.body().partition("<pre>\n")
    text, end, after = rest.partition("</pre>")
    assert end
    assert text.startswith("&lt;/pre&gt;\n# Big\n![x]")
    assert "&lt;img" in text
    assert "<img" not in job.body()
    assert "evil" not in after
    assert "@team" not in text
    assert "(https://github.example/owner/name/actions/runs/99)" in after


@pytest.mark.parametrize("pull", [("stranger:fix", "2e" * 20), ("stranger:other", COMMIT), ("victim:fix", COMMIT)])
def test_only_the_pull_request_of_the_commit(
    job: Job, capsys: pytest.CaptureFixture[str], pull: tuple[str, str]
) -> None:
    """A pull request of another commit, branch or owner gets no comment, and that is no error."""
    job.github.pulls[7] = pull
    assert job.comment(event=OF_RUN) == 0
    assert job.github.comments == {}
    assert "no open pull request" in capsys.readouterr().out


def test_a_deleted_fork_gets_no_comment(job: Job) -> None:
    """Where the fork is gone, nothing is asked."""
    assert job.comment(event={"workflow_run": {**OF_RUN["workflow_run"], "head_repository": None}}) == 0
    assert job.github.events == []


def test_a_refused_comment(job: Job) -> None:
    """Without the right to comment, the error quotes GitHub and names the permission."""
    job.github.is_read_only = True
    with pytest.raises(NothingMeasuredError, match="Resource not accessible") as caught:
        job.comment()
    assert "pull-requests: write" in caught.value.then


def test_gh_is_missing(job: Job) -> None:
    """A runner without gh is told so."""
    job.github.is_installed = False
    with pytest.raises(NothingMeasuredError, match="gh is not installed"):
        job.comment()


def test_a_job_without_a_pull_request(job: Job) -> None:
    """A push has no pull request to comment on."""
    with pytest.raises(UsageError, match="belongs to no pull request"):
        job.comment(event={"ref": "refs/heads/main"})


@pytest.mark.parametrize("name", ["GITHUB_EVENT_PATH", "GITHUB_REPOSITORY", "GITHUB_RUN_ID"])
def test_outside_of_a_job(job: Job, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Where a variable of a job is missing, the error names it."""
    monkeypatch.delenv(name)
    with pytest.raises(UsageError, match=name):
        job.comment()


def test_an_event_of_another_form(job: Job) -> None:
    """A number that is none is refused before anything is asked."""
    with pytest.raises(UsageError, match="no GitHub job that can be read"):
        job.comment(event={"pull_request": {"number": "7; true"}})
    assert job.github.events == []


def test_a_link_is_refused(job: Job, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A link among the files of another job would show a file of this machine."""
    job.comment()
    link = tmp_path / "link.md"
    link.symlink_to(tmp_path / "event.json")
    with pytest.raises(SystemExit) as caught:
        comment.main([str(link)])
    assert caught.value.code == 2
    assert "is a link" in capsys.readouterr().err


def test_a_page_that_is_too_large(job: Job) -> None:
    """More than a report ever has is not read."""
    with pytest.raises(OSError, match="larger than 1 MiB"):
        job.comment("x" * (2**20 + 1))
