"""A real git repository in promptflow's shape, whose wheels are built without any network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scripts.config.matrix import ROOT
from scripts.environments import commits
from scripts.host.process import RealSystem

_PROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
# the smallest build backend: one module, and what a wheel must say of itself
_BACKEND = """\
import pathlib, zipfile
NAME, VERSION = {name!r}, "1.12.0"
WHEEL = "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    stem = f"{{NAME.replace('-', '_')}}-{{VERSION}}"
    with zipfile.ZipFile(pathlib.Path(wheel_directory) / f"{{stem}}-py3-none-any.whl", "w") as wheel:
        for inside, text in (
            (f"{{NAME.replace('-', '_')}}.py", pathlib.Path("module.py").read_text()),
            (f"{{stem}}.dist-info/METADATA", f"Metadata-Version: 2.1\\nName: {{NAME}}\\nVersion: {{VERSION}}\\n\\n"),
            (f"{{stem}}.dist-info/WHEEL", WHEEL),
            (f"{{stem}}.dist-info/RECORD", ""),
        ):
            wheel.writestr(zipfile.ZipInfo(inside), text)
    return f"{{stem}}-py3-none-any.whl"
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Repository:
    """A repository, and how it is committed to."""

    at: Path

    def git(self, *words: str) -> str:
        """Run git there."""
        who = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
        argv = ["git", "-C", str(self.at), *who, *words]
        done = RealSystem().run(argv, env=commits.git_env(), cwd=ROOT, timeout_s=60)
        assert done.code == 0, done.output
        return done.output.strip()

    def commit(self, subject: str, *, module: str = "", file: str = "", text: str = "") -> str:
        """Commit a new text of promptflow's module, or of another file; the commit's name."""
        path = self.at / (file or "src/promptflow/module.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(module or text, encoding="utf-8")
        self.git("add", ".")
        self.git("commit", "--quiet", "--allow-empty", "--message", subject)
        return self.git("rev-parse", "HEAD")[:12]


def made(at: Path) -> Repository:
    """A repository with promptflow and promptflow-core, as one commit with the tag `good`."""
    repository = Repository(at=at)
    for name in ("promptflow", "promptflow-core"):
        project = at / "src" / name
        project.mkdir(parents=True)
        (project / "pyproject.toml").write_text(_PROJECT, encoding="utf-8")
        (project / "backend.py").write_text(_BACKEND.format(name=name), encoding="utf-8")
        (project / "module.py").write_text("step = 0\n", encoding="utf-8")
    repository.git("init", "--quiet", "--initial-branch", "main")
    repository.commit("The first", module="step = 0\n")
    repository.git("tag", "good")
    return repository
