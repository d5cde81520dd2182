"""Small wheels, as a candidate brings them; and a fake outside that resolves, builds and fetches them."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts.host.process import Finished
from tests.fakes.system import FakeSystem

PINNED = "aiohttp==3.9.5 \\\n    --hash=sha256:aaaa\n"


def write(
    folder: Path,
    name: str,
    version: str = "1.12.0",
    *,
    said: tuple[str, str] | None = None,
    module: str = "",
) -> Path:
    """A wheel of a canonical name; `said` is the name and version in its METADATA when they are others."""
    stem = f"{name.replace('-', '_')}-{version}"
    path = folder / f"{stem}-py3-none-any.whl"
    said_name, said_version = said or (name, version)
    metadata = f"Metadata-Version: 2.1\nName: {said_name}\nVersion: {said_version}\n\n"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in (("METADATA", metadata), ("RECORD", ""), ("MODULE", module)):
            archive.writestr(zipfile.ZipInfo(f"{stem}.dist-info/{inside}"), text)
    return path


@dataclass(kw_only=True, slots=True)
class Toolbox(FakeSystem):
    """A fake uv and a fake git: requests are recorded, and answered well unless set otherwise."""

    project: str = "1.12.0"  # the version of what is built
    fails: Mapping[str, str] = field(default_factory=dict)  # by the tool's command, what it says: {"build": "..."}
    envs: list[Mapping[str, str]] = field(default_factory=list)  # beside `commands`
    built: list[str] = field(default_factory=list)  # what lay at the top of the projects
    requirements: list[str] = field(default_factory=list)  # of the last resolution

    def run(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout_s: float) -> Finished:
        """Answer for the tool."""
        FakeSystem.run(self, argv, env=env, cwd=cwd, timeout_s=timeout_s)
        self.envs.append(env)
        step = next(word for word in argv[1:] if word in ("pip", "build", "init", "fetch", "checkout", "rev-parse"))
        if step in self.fails:
            return Finished(code=1, output=self.fails[step])
        if step == "pip":
            self.requirements = Path(argv[-1]).read_text(encoding="utf-8").splitlines()
            return Finished(code=0, output=PINNED + "".join(_pin(line) for line in self.requirements))
        if step == "build":
            self.built += [path.name for path in Path(argv[-1]).iterdir()]
            write(Path(argv[argv.index("--out-dir") + 1]), Path(argv[-1]).name, self.project)
        if step == "checkout":
            a_project(Path(argv[argv.index("-C") + 1]) / "src" / "promptflow")
        return Finished(code=0, output="0123456789abcdef0123\n" if step == "rev-parse" else "")


def a_project(folder: Path) -> Path:
    """A directory that can be built, as far as anybody sees from outside."""
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").touch()
    return folder


def _pin(requirement: str) -> str:
    """What the resolver makes of a requirement of promptflow; nothing of any other."""
    pinned = requirement.startswith("promptflow") and f"{requirement} \\\n    --hash=sha256:bbbb\n"
    return pinned or ""
