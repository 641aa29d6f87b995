"""The comparator: one Celery task that does nothing, on Valkey, with its result backend on."""

import os

from celery import Celery

app = Celery("peer", broker=os.environ["PEER_BROKER_URL"], backend=os.environ["PEER_BACKEND_URL"])
app.conf.update(worker_prefetch_multiplier=4, broker_connection_retry_on_startup=True)


@app.task
def no_op() -> None:
    """Nothing."""
