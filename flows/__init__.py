"""The pipeline on a schedule: Prefect tasks, retries, limits and artifacts. All the work is in ``pipeline``.

python -m flows.serve                       all flows, on one machine, with a nightly schedule
prefect --no-prompt deploy --all            the same as deployments of a work pool (prefect.yaml)
from flows.dataset import dataset_flow      or call them
"""
