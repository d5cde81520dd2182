"""Starts a server, waits until it is told to go on, then becomes the sampler: so that is the server's parent.

Called as a script: BEGIN LOG SAMPLER... -- SERVER.... Standard library only. BEGIN is a named pipe; whoever writes to
it lets the sampler begin. LOG gets what the sampler says. When the server ends before that, this ends with its code.
"""

from __future__ import annotations

import os
import select
import sys

_LOOK_S = 0.2


def main(argv: list[str]) -> None:
    """Run both; does not come back while the server runs."""
    begin, log, *commands = argv
    divider = commands.index("--")
    sampler, server = commands[:divider], commands[divider + 1 :]
    child = os.posix_spawnp(server[0], server, os.environ)
    pipe = os.open(begin, os.O_RDONLY | os.O_NONBLOCK)
    while not select.select([pipe], [], [], _LOOK_S)[0]:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            sys.exit(os.waitstatus_to_exitcode(status) % 256)
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for stream in (1, 2):
        os.dup2(said, stream)
    os.execv(sampler[0], [*sampler, "--pid", str(child)])  # noqa: S606 - the command of the one who called


if __name__ == "__main__":
    main(sys.argv[1:])
