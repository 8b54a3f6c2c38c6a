"""consistency_test.py MILLRACE: the internal-consistency test (support/consistency.py) over INSERT and COPY, with ticks of 1 to 100,000 rows
and 1, 2 and 4 workers."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import consistency  # noqa: E402
import harness  # noqa: E402
from consistency import N  # noqa: E402


def main():
    rows = consistency.transfers(N)
    plans = [(1, 100000, "copy"), (1, 1000, "insert"), (2, 1000, "copy"), (4, 7, "insert"), (1, 7, "copy"), (2, 1, "insert")]
    memory = harness.memory_dir(1 << 30)  # half of the many commits of small ticks wait for no disk
    for workers, batch, how in plans:
        some = rows if batch > 1 else rows[:N // 2]
        if batch < 1000 and harness.SMALL:
            some = rows[:N // 10]
        batch = min(batch, len(some))
        below = memory if batch < 1000 and workers < 4 else None
        with harness.millrace(sys.argv[1], "--workers", str(workers), below=below) as server:
            print("%d workers, %s" % (workers, consistency.Run(server, some, batch, how).run()), flush=True)


main()
