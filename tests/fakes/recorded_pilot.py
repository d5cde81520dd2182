"""What 14 runs of promptflow 1.12.0 gave, one after the other on a shared machine of 2 cores: same release, same load.

Nothing but the machine's speed changed, and CPU per request moved by 24 % with it. Figures only, as
recorded, in the order of the runs.
"""

from __future__ import annotations

import math

# CPU per request of the server, ms; of the mock API and the load generator, ms; median overhead, ms
RUNS = (
    (5.6218, 1.1824, 8.661),
    (5.8971, 1.2466, 9.965),
    (5.1278, 0.9505, 7.471),
    (5.3446, 1.0312, 8.012),
    (4.9051, 0.8978, 6.991),
    (5.2158, 0.9840, 7.497),
    (5.2581, 1.0043, 7.752),
    (4.8304, 0.8561, 6.754),
    (5.3387, 1.0040, 7.981),
    (5.3193, 1.0383, 8.168),
    (5.6287, 1.1159, 8.355),
    (5.6551, 1.1747, 8.919),
    (5.9791, 1.2482, 10.101),
    (5.4746, 1.0987, 8.769),
)
CPU, COVARIATE, OVERHEAD = ([math.log(figure) for figure in column] for column in zip(*RUNS, strict=True))
