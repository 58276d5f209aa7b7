"""The pipeline on a schedule: Prefect tasks, retries, limits and artifacts. All the work is in ``pipeline``.

python -m flows.serve                       all flows, on one machine, with a nightly schedule
prefect --no-prompt deploy --all            the same as deployments of a work pool (prefect.yaml)
from flows.dataset import dataset_flow      or call them
"""

import os

# Prefect waits 2, 4, 8, 16 and 32 s before it gives up on each request to a server that is gone. The
# work does not need the server, so that the end of a flow should not wait for minutes; it reads this once.
os.environ.setdefault("PREFECT_CLIENT_MAX_RETRIES", "2")
