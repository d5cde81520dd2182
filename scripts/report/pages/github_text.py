"""A gate's report as GitHub takes it: no longer than a comment may be, and nobody is mentioned by it."""

from __future__ import annotations

import html

MARKER = "<!-- promptflow-serve-bench: gate -->"
"""The first line of every comment: by it the same comment is found again."""
MOST_BYTES = 60_000
"""Of a report: GitHub takes 65,536 characters of a comment."""
_CUT = "The report is longer than GitHub shows. The whole report is the file gate.md of the job's artefact."


def fitted(page: str) -> str:
    """The page; of one that is too long its first lines, and where the rest is."""
    if len(page.encode()) <= MOST_BYTES:
        return page
    kept, used = [], 0
    for line in page.splitlines(keepends=True):
        used += len(line.encode())
        if used > MOST_BYTES:
            break
        kept.append(line)
    return f"{''.join(kept)}\n{_CUT}\n"


def comment(page: str, job: str) -> str:
    """The page of this job as a comment; `job`: the address of the job's run."""
    return f"{MARKER}\n{fitted(_without_mentions(page))}\n[The job, with the records and all reports]({job})\n"


def quoted_comment(page: str, job: str) -> str:
    """The same of a page that anybody may have written: all of it is text, whatever stands in it."""
    text = fitted(html.escape(_without_mentions(page)))
    return (
        f"{MARKER}\nThe gate's job of this pull request reports:\n\n<pre>\n{text}</pre>\n\n"
        f"[The job, with the records and all reports]({job})\n"
    )


def _without_mentions(page: str) -> str:
    """With a space of no width after each @, and without the characters that no command line takes."""
    return page.replace("\0", "").replace("@", "@\u200b")
