"""`python -m scripts <verb>`, as the nox sessions call it: imports the verb's module alone, as `lock` needs."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

from scripts.commands import cli
from scripts.config.errors import UsageError, did_you_mean

_NOT_VERBS = ("campaign_options", "cli", "github_job", "load_options", "output", "target_options", "trial_options")


def verbs() -> list[str]:
    """All verbs, as they are typed."""
    folder = Path(__file__).parent / "commands"
    names = [module.name for module in pkgutil.iter_modules([str(folder)]) if module.name not in _NOT_VERBS]
    return [name.replace("_", "-") for name in names]


def main(argv: list[str]) -> int:
    """Call the verb with the rest of the command line."""
    known = verbs()
    if not argv or argv[0] not in known:
        word = argv[0] if argv else ""
        raise UsageError(f"unknown verb {word!r}; {did_you_mean(word, known)}", then="nox -l")
    module = importlib.import_module(f"scripts.commands.{argv[0].replace('-', '_')}")
    code: int = module.main(argv[1:])
    return code


if __name__ == "__main__":
    cli.run(main)
