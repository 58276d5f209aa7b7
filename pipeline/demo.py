"""The embedded default: OpenMoji drawings through a small CLIP with seeded random weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.config import ExtractConfig, IngestConfig, IngestStep, PipelineConfig
from pipeline.jobs import JobSummary, run_job
from pipeline.progress import ProgressCallback
from pipeline.sheet import draw_sheet, save_sheet, top_row
from pipeline.storage import Store
from pipeline.warehouse import connect

DATASET = "openmoji"
MODEL = "RN-demo:random"
LAYER = "goh2021"
SHOWN = 6

FIRST_LINE = (
    "The demo's model is a small CLIP with seeded RANDOM weights: its neurons see colour and "
    "shape, not meaning, and their labels show the machinery, not a discovery."
)


@dataclass(frozen=True)
class DemoNeuron:
    """One neuron that the demo shows."""

    layer: str
    unit: int
    concept: str | None
    category: str | None
    q_value: float | None
    top_count: int | None
    examples: tuple[str, ...]


@dataclass(frozen=True)
class DemoSummary:
    """What the demo made and found."""

    job: JobSummary
    neurons: tuple[DemoNeuron, ...]
    labelled_count: int
    neuron_count: int
    warehouse: str
    sheet: str


def demo_config(warehouse: str) -> PipelineConfig:
    """The configuration of the demo."""
    return PipelineConfig(
        warehouse=warehouse,
        dataset=DATASET,
        ingest=IngestStep("openmoji"),
        ingest_limits=IngestConfig(warehouse, DATASET, shard_size=500),
        extract=(ExtractConfig(warehouse, DATASET, MODEL, (LAYER,), device="cpu"),),
    )


def run_demo(warehouse: str, progress: ProgressCallback | None = None) -> DemoSummary:
    """Run the main job on the embedded data and draw a contact sheet.

    Raises:
        NeuronsError: A step could not be done.
    """
    job = run_job(demo_config(warehouse), progress)
    store = Store(warehouse)
    with connect(warehouse) as connection:
        run = {"dataset": DATASET, "run_id": job.run_ids[0]}
        labelled, total = connection.execute(
            "select count(*) filter (where is_labelled), count(*) from neuron_labels "
            "where dataset = $dataset and run_id = $run_id",
            run,
        ).fetchall()[0]
        rows = connection.execute(
            """
            select dataset, run_id, layer, unit, concept, category, q_value, top_count
            from neuron_labels
            where dataset = $dataset and run_id = $run_id
            qualify row_number() over (partition by concept order by q_value, unit) = 1
            order by is_labelled desc, q_value, unit
            limit $shown
            """,
            {**run, "shown": SHOWN},
        ).fetchall()
        neurons, sheet_rows = [], []
        for dataset, run_id, layer, unit, concept, category, q_value, top_count in rows:
            where = {"dataset": dataset, "run_id": run_id, "layer": layer, "unit": unit}
            names = connection.execute(
                """
                select coalesce(min(texts.text), examples.shard_key)
                from top_examples as top
                inner join examples using (dataset, example_id)
                left join texts
                    on
                        texts.dataset = examples.dataset
                        and texts.example_id = examples.example_id
                        and texts.language = 'en'
                        and texts.text_kind = 'caption'
                where
                    top.dataset = $dataset and top.run_id = $run_id and top.layer = $layer
                    and top.unit = $unit and top.polarity = 'positive' and top.example_rank <= 5
                group by top.example_rank, examples.shard_key
                order by top.example_rank
                """,
                where,
            ).fetchall()
            neurons.append(
                DemoNeuron(
                    layer, unit, concept, category, q_value, top_count, tuple(n for (n,) in names)
                )
            )
            sheet_rows.append(top_row(connection, store, {**where, "polarity": "positive"}, 10))
    path = "demo-neurons.png"
    sheet = draw_sheet(
        sheet_rows, f"Top images of neurons of {MODEL} (random weights) on {DATASET}"
    )
    place = f"{warehouse}/{path}" if Path(warehouse).is_dir() else path
    save_sheet(sheet, place)
    return DemoSummary(job, tuple(neurons), labelled, total, warehouse, place)
