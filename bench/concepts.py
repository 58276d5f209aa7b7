"""AUROC of every neuron and concept: SQL on stored ranks against NumPy from the raw activations."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from bench.timing import Report, Row, cpu, measure, measure_in_turn, wall
from pipeline.upkeep.compact import compact
from pipeline.warehouse.connect import connect

CONCEPTS = 50
PASS = "create or replace table auroc as from concept_ranks"


def open_pass(folder: str) -> duckdb.DuckDBPyConnection:
    """A connection as a build has it when it comes to the pass: ``run_concepts`` is Parquet."""
    connection = connect(folder, unrestricted=True)
    mart = Path(folder) / "run_concepts.parquet"
    connection.execute(f"copy (from run_concepts) to '{mart}'")
    connection.execute(f"create or replace view run_concepts as from read_parquet('{mart}')")
    return connection


class Pass:
    """One compacted warehouse, and the matrix it was made from."""

    def __init__(self, folder: str, shard_count: int, shard_size: int, unit_count: int) -> None:
        from bench.data import make_warehouse  # not by the child: its memory is measured

        values = make_warehouse(folder, shard_count, shard_size, unit_count, concept_count=CONCEPTS)
        self.values = np.ascontiguousarray(values.numpy().T)
        self.compact_cost = measure(lambda: compact(folder))
        self.connection = open_pass(folder)
        rows = self.connection.execute(
            "select half = 'testing' from stg_examples order by example_id"
        ).fetchall()
        self.is_testing = np.array([is_testing for (is_testing,) in rows])
        self.concept = np.arange(len(rows)) % CONCEPTS
        self.reference: dict[bool, np.ndarray[Any, Any]] = {}

    def ask(self) -> None:
        """The pass in SQL; what a build does."""
        self.connection.execute(PASS)

    def compute(self) -> None:
        """The same from the raw activations: mid-ranks within halves, and sums over positives.

        As a run that stores positive activations knows them: the others are zero.
        """
        from scipy.stats import rankdata

        for half in (False, True):
            columns = np.flatnonzero(self.is_testing == half)
            shown = np.eye(CONCEPTS)[self.concept[columns]]
            positives = shown.sum(0)
            result = np.empty((len(self.values), CONCEPTS))
            for start in range(0, len(self.values), 64):
                seen = np.maximum(self.values[start : start + 64, columns], 0).astype(np.float32)
                sums = rankdata(seen, axis=1) @ shown
                result[start : start + 64] = (sums - positives * (positives + 1) / 2) / (
                    positives * (len(columns) - positives)
                )
            self.reference[half] = result

    def answers_agree(self) -> bool:
        """Whether both ways give the same AUROC for every pair on both halves."""
        rows = self.connection.execute(
            "select auroc, screening_auroc from auroc "
            "order by unit, replace(concept, 'concept ', '')::integer"
        ).fetchnumpy()
        shape = (len(self.values), CONCEPTS)
        return all(
            np.allclose(rows[name].reshape(shape), self.reference[half], rtol=0, atol=1e-9)
            for name, half in (("auroc", True), ("screening_auroc", False))
        )


def report(quick: bool) -> Report:
    """The two ways in turn, then the peak memory of the SQL alone in a process of its own."""
    size, shards, units, rounds = (500, 4, 32, 1) if quick else (5000, 20, 2560, 3)
    with tempfile.TemporaryDirectory() as folder:
        one = Pass(folder, shards, size, units)
        yield f"concepts: {shards * size} examples x {units} neurons x {CONCEPTS} concepts"
        yield Row("compact (ranks included)", one.compact_cost.wall_s, "s")
        costs = measure_in_turn({"SQL": one.ask, "NumPy": one.compute}, rounds)
        for name, taken in costs.items():
            yield Row(f"AUROC: {name}", wall(taken), "s", f"CPU {cpu(taken):,.1f} s")
        ratio = cpu(costs["SQL"]) / cpu(costs["NumPy"])
        yield Row("AUROC: SQL / NumPy, CPU", ratio, "x", "ranking included in NumPy's", "<= 2")
        note = "" if one.answers_agree() else "THEY DIFFER"
        yield Row("the same answer as NumPy", float(not note), "1 = yes", note, "1")
        one.connection.close()
        command = [sys.executable, "-m", "bench.concepts", folder]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        yield Row("peak memory of the SQL", float(done.stdout), "GB", "", "< 5")


def ask_here(folder: str) -> None:
    """What the child does: the pass in SQL; prints its peak in GB."""
    with open_pass(folder) as connection:
        connection.execute(PASS)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(peak * (1 if sys.platform == "darwin" else 1024) / 1e9)


if __name__ == "__main__":
    ask_here(sys.argv[1])
