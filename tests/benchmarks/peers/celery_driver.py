"""Drives one round of the comparator: submits by 32 callers on 8 threads, waits for all results."""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import redis

from tests.benchmarks.peers.celery_tasks import no_op

THREADS = 8
ROUND_SECONDS_MAX = 120.0
POLL_SECONDS = 0.02


def main(jobs: int) -> float:
    """Jobs a second, from the first submit to the last result in the backend."""
    backend = redis.Redis.from_url(os.environ["PEER_BACKEND_URL"])
    began = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as threads:
        for _ in threads.map(lambda _: no_op.delay(), range(jobs)):
            pass
    while backend.dbsize() < jobs:
        if time.perf_counter() - began > ROUND_SECONDS_MAX:
            raise TimeoutError(f"{backend.dbsize()} of {jobs} results")
        time.sleep(POLL_SECONDS)
    return jobs / (time.perf_counter() - began)


if __name__ == "__main__":
    sys.stdout.write(str(main(int(sys.argv[1]))))
