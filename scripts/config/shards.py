"""A part of the work for one of several machines: which one depends on the name of a piece of work alone."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

_SHARD = re.compile(r"(\d{1,6})/(\d{1,6})")


@dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """One of `count` parts. A release that is added moves nothing else to another part."""

    number: int  # from 1
    count: int

    def __str__(self) -> str:
        """As it is typed."""
        return f"{self.number}/{self.count}"

    def holds(self, name: str) -> bool:
        """Whether work of that name belongs to this part; of every name, exactly one part says so."""
        digest = hashlib.sha256(name.encode()).digest()
        return int.from_bytes(digest, "big") % self.count == self.number - 1


def parse(text: str) -> Shard:
    """The shard that I/N stands for; ValueError says what is wrong with the text."""
    found = _SHARD.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a shard I/N such as 1/4")
    number, count = int(found[1]), int(found[2])
    if not count:
        raise ValueError(f"{text} has no shards; name one such as 1/4")
    if not 1 <= number <= count:
        raise ValueError(f"{text}: the shards of {count} are 1/{count} to {count}/{count}")
    return Shard(number=number, count=count)
