"""Questions to a warehouse against the same question to a matrix in memory, and how they grow."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import torch

from bench.data import make_warehouse
from bench.timing import Report, Row, cpu, measure, measure_in_turn, wall
from pipeline.tables.columns import EXAMPLE_ID_BITS
from pipeline.upkeep.build import build
from pipeline.warehouse.connect import connect

TOP_K = 100
UNIT = 7
ONE_NEURON = """
select example_rank, example_id, activation
from top_examples
where unit = $unit and polarity = 'positive'
order by example_rank
"""
ALL_NEURONS = """
select unit, example_id, activation
from activations
qualify row_number() over (partition by unit order by activation desc, example_id) <= $k
"""
SUMS = "select unit, count(*), sum(activation) from activations group by unit"


class Questions:
    """One synthetic warehouse and the matrix it was made from."""

    def __init__(self, folder: str, shard_count: int, shard_size: int, unit_count: int) -> None:
        self.folder = folder
        self.values = make_warehouse(folder, shard_count, shard_size, unit_count).float()
        self.shard_size = shard_size
        self.connect_cost = measure(lambda: connect(folder).close())
        self.connection = connect(folder, use_marts=False)
        self.build_cost = measure(lambda: build(folder))
        self.marts = connect(folder)

    def stages(self) -> dict[str, Callable[[], Any]]:
        """Each question in SQL, and in memory."""
        return {
            "one neuron, partials": lambda: self._ask(ONE_NEURON, {"unit": UNIT}),
            "one neuron, built mart": lambda: self.marts.execute(
                ONE_NEURON, {"unit": UNIT}
            ).fetchall(),
            "one neuron, in memory": lambda: self.values[:, UNIT].topk(TOP_K),
            "all neurons, full scan": lambda: self._ask(ALL_NEURONS, {"k": TOP_K}),
            "all neurons, in memory": lambda: self.values.topk(TOP_K, dim=0),
            "sums, full scan": lambda: self._ask(SUMS, {}),
        }

    def _ask(self, query: str, params: dict[str, int]) -> list[Any]:
        return self.connection.execute(query, params).fetchall()

    def answers_agree(self) -> bool:
        """Whether the top examples of one neuron are those of the matrix."""
        found = [row[1] for row in self._ask(ONE_NEURON, {"unit": UNIT})]
        column = self.values[:, UNIT]
        places = torch.argsort(column, descending=True, stable=True)[: len(found)]
        shards, positions = places // self.shard_size, places % self.shard_size
        return found == ((shards << EXAMPLE_ID_BITS) + positions).tolist()


def report(quick: bool) -> Report:
    """Two warehouses, the second eight times the first."""
    shard_size, unit_count, shard_counts, rounds = (
        (125, 16, (1, 8), 1) if quick else (5000, 512, (4, 32), 5)
    )
    walls: list[dict[str, float]] = []
    for shard_count in shard_counts:
        with tempfile.TemporaryDirectory() as folder:
            questions = Questions(folder, shard_count, shard_size, unit_count)
            yield (
                f"queries: {shard_count * shard_size} examples x {unit_count} units, "
                f"{shard_count} shards"
            )
            agree = questions.answers_agree()
            stages = questions.stages()
            measure_in_turn(stages, 1)
            costs = measure_in_turn(stages, rounds)
            for name, taken in costs.items():
                yield Row(name, wall(taken) * 1e3, "ms", f"CPU {cpu(taken) * 1e3:,.1f} ms")
            walls.append({name: wall(taken) for name, taken in costs.items()})
            now = walls[-1]
            for question, target in (("one neuron", "<= 5"), ("all neurons", "<= 1.5")):
                way = "partials" if question == "one neuron" else "full scan"
                ratio = now[f"{question}, {way}"] / now[f"{question}, in memory"]
                yield Row(f"{question}: {way} / memory", ratio, "x", "torch.topk", target)
            note = "" if agree else "THEY DIFFER"
            yield Row("the same answer as in memory", float(agree), "1 = yes", note, "1")
            yield Row("connect", questions.connect_cost.wall_s * 1e3, "ms")
            yield Row("build", questions.build_cost.wall_s, "s")
            questions.connection.close()
            questions.marts.close()
    yield f"queries: as the data grow {shard_counts[1] // shard_counts[0]}x"
    for name, before in walls[0].items():
        target = {"one neuron, partials": "about flat", "one neuron, built mart": "about flat"}
        limit = target.get(name, "<= 8" if "scan" in name else "")
        yield Row(name, walls[1][name] / before, "x", "", limit)
