"""A fake GitHub behind the program `gh`: pull requests and comments, and what was asked of it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts.host.process import Finished
from tests.fakes.system import FakeSystem

_REFUSED = "gh: Resource not accessible by integration (HTTP 403)\n"


@dataclass(kw_only=True, slots=True)
class Comment:
    """A comment on a pull request."""

    author: str  # Bot or User
    body: str


@dataclass(kw_only=True, slots=True)
class FakeGitHub(FakeSystem):
    """Answers the requests of `gh api` as GitHub would, through the filters that `--jq` names."""

    pulls: dict[int, tuple[str, str]] = field(default_factory=dict)  # by number: OWNER:BRANCH and newest commit
    comments: dict[int, Comment] = field(default_factory=dict)  # by id
    is_read_only: bool = False
    is_installed: bool = True

    def run(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout_s: float) -> Finished:
        """One request."""
        assert env["GH_TOKEN"]
        assert cwd.is_dir()
        assert timeout_s > 0
        if not self.is_installed:
            raise FileNotFoundError(2, "No such file or directory", "gh")
        program, api, option, method, place, *options = argv
        assert (program, api, option) == ("gh", "api", "--method")
        self.events.append(f"{method} {place}")
        fields = dict(value.split("=", 1) for name, value in itertools.pairwise(options) if name == "--raw-field")
        if method == "GET":
            return Finished(code=0, output=self._pulls(fields) if place.endswith("/pulls") else self._own(options))
        if self.is_read_only:
            return Finished(code=1, output=_REFUSED)
        number = int(place.rsplit("/", 1)[1]) if method == "PATCH" else len(self.comments) + 1
        self.comments[number] = Comment(author="Bot", body=fields["body"])
        return Finished(code=0, output="")

    def _pulls(self, fields: Mapping[str, str]) -> str:
        assert fields["state"] == "open"
        found = (f"{number} {commit}\n" for number, (head, commit) in self.pulls.items() if head == fields["head"])
        return "".join(found)

    def _own(self, options: Sequence[str]) -> str:
        """The comments that the filter lets through: those of bots that begin with its marker."""
        wanted = options[options.index("--jq") + 1]
        marker = wanted.split('startswith("')[1].split('"')[0]
        assert '.user.type == "Bot"' in wanted
        found = (number for number, one in self.comments.items() if one.author == "Bot" and one.body.startswith(marker))
        return "".join(f"{number}\n" for number in found)
