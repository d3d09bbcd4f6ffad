"""A Dask cluster of two workers: prints its address and their process ids, ends with its input."""

from __future__ import annotations

import json
import os
import sys


def main() -> None:
    import distributed

    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(processes=True, **options) as running:
        with distributed.Client(running) as client:
            workers = list(client.run(os.getpid).values())
        print(json.dumps([running.scheduler_address, workers]), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
