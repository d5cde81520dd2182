"""A small suite.toml, whose loads take seconds on a fake clock: three releases, two engines, one flow."""

from __future__ import annotations

_PROFILES = ("report", "serves", "count", "compare", "compare-8x1", "duet", "duet-8x1", "capacity", "soak")
_HEAD = """\
# The matrix.

[suite]
python = "3.11"

[tools]
python = "3.11"
as_of = 2026-11-16

# --- releases

[[release]]
version = "1.11.0"
uploaded = 2024-05-17
as_of = 2024-05-31

[[release]] # the last with that server
version = "1.12.0"
uploaded = 2024-06-11
as_of = 2024-06-25
constraints = [
    "marshmallow<3.24",
]
reason = "it does not start otherwise"

[[release]]
version = "1.13.0"
uploaded = 2024-07-01
as_of = 2024-07-15
# --- release lines

[[release_line]]
since = "1.0.0"
pythons = ["3.11"]
requirements = ["promptflow=={version}"]
image = []

[engine.flask]
title = "Flask"
since = "1.0.0"

[engine.fastapi]
title = "FastAPI"
since = "1.10.0"

[[scenario]]
engine = "fastapi"
flow = "example"
title = "An example"

[count]
warm_up_requests = 15
windows = 10
window_requests = 5

[capacity]
start_users = 60
growth = 1.5
precision = 0.1
max_users = 1000
confirm_runs = 3
failure_ratio_max = 0.001
overhead_p99_max_ms = 250.0

[soak]
releases = ["1.12.0", "latest"]
capacity_share = 0.6
memory_every_s = 10.0
"""


def _profile(name: str) -> str:
    at_once = 2 if name.startswith("duet") else 1
    return f"""
[profile.{name}]
description = "as {name}"
users = 2
spawn_rate = 2
run_time_s = 4
workers = 2
threads = 4
wait_min_s = 0.1
wait_max_s = 0.2
backend_wait_min_s = 1.0
backend_wait_max_s = 1.0
drain_s = 0
seed = 42
reported = true
at_once = {at_once}
"""


TEXT = _HEAD + "".join(map(_profile, _PROFILES))
