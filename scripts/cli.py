"""What every command line shares: a parser that suggests, and errors that become exit codes.

Imports `errors` only. A verb is `def main(argv) -> int` and ends with `cli.run(main)`.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from scripts.errors import EXIT_INTERRUPTED, EXIT_TERMINATED, SuiteError, Terminated, did_you_mean


class Parser(argparse.ArgumentParser):
    """argparse, with the nearest known option in the message about an unknown one."""

    def error(self, message: str) -> NoReturn:
        """Print the message and how to get help, and exit with code 2."""
        prefix = "unrecognized arguments: "
        if message.startswith(prefix):
            word = message.removeprefix(prefix).split()[0].split("=")[0]
            known = [name for action in self._actions for name in action.option_strings if name != "-h"]
            message = f"{message}; {did_you_mean(word, known)}"
        self.exit(2, f"error: {message}\n  next: {self.prog} --help\n")


def parser(verb: str, description: str) -> Parser:
    """A parser for `python -m scripts.<verb>`; options cannot be abbreviated."""
    return Parser(prog=f"python -m scripts.{verb}", description=description, allow_abbrev=False)


def run(main: Callable[[list[str]], int]) -> NoReturn:
    """Call `main` with the command line and leave the process with its exit code."""
    logging.basicConfig(level=os.environ.get("LOGLEVEL", "WARNING").upper(), format="%(levelname)s: %(message)s")
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except SuiteError as error:
        print(f"error: {error}", file=sys.stderr)
        code = error.exit_code
    except KeyboardInterrupt:
        print("interrupted: everything that was started has been stopped", file=sys.stderr)
        code = EXIT_INTERRUPTED
    except Terminated:
        print("terminated: everything that was started has been stopped", file=sys.stderr)
        code = EXIT_TERMINATED
    except BrokenPipeError:  # the reader of our output went away, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_TERMINATED
    sys.exit(code)
