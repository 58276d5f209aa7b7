"""Data in, activations out: ``ingest``, ``wit-urls``, ``layers``, ``extract``, ``budget``, ``similarity``."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Annotated

import typer

from pipeline.base.budget_settings import BudgetQuestion
from pipeline.base.display import complain, print_table, say
from pipeline.base.fields import find_field
from pipeline.base.progress import choose_progress
from pipeline.base.ranks import find_rank
from pipeline.base.settings import (
    ExtractConfig,
    FolderOptions,
    IngestConfig,
    IngestStep,
    SimilarityConfig,
    SourceName,
    WitOptions,
)
from pipeline.cli.complete import complete_model
from pipeline.cli.options import (
    Device,
    OneDataset,
    OneRun,
    Warehouse,
    examples,
    field_option,
    settings_as_options,
)


def add_commands(app: typer.Typer) -> None:
    """Give the command line these commands."""
    app.command(
        epilog=examples(
            "neurons ingest folder photos/ --dataset photos --warehouse warehouse",
            "neurons ingest img2dataset 'out/*.tar' --dataset crawl --warehouse s3://bucket/wh",
        )
    )(ingest)
    app.command(
        "wit-urls", epilog=examples("neurons wit-urls wit_v1.train.*.tsv.gz --out urls.parquet")
    )(wit_urls)
    app.command(epilog=examples("neurons layers nano", "neurons layers RN50:openai"))(layers)
    app.command(
        epilog=examples(
            "neurons extract --warehouse warehouse --dataset photos --model nano --layer goh2021",
            "neurons extract --warehouse warehouse --dataset photos --model ViT-B-32:openai "
            "--layer vit-mlp --device cuda --batch-size 256",
        )
    )(extract)
    app.command(
        epilog=examples(
            "neurons budget --images 11500000 --rate 2105",
            "neurons budget --images 1000000 --rate 2441 --units 3072 --layers 12 --store none",
        )
    )(budget)
    app.command(epilog=examples("neurons similarity --warehouse warehouse --dataset photos"))(
        similarity
    )


@settings_as_options()
def ingest(
    source: Annotated[SourceName, typer.Argument(help=find_field(IngestStep, "source").help)],
    config: IngestConfig,
    folder: FolderOptions,
    wit: WitOptions,
    paths: Annotated[
        list[str] | None, typer.Argument(help=find_field(IngestStep, "paths").help)
    ] = None,
) -> None:
    """Bring images of some layout in, as a dataset. Repeat it to go on, or to add what is new."""
    from pipeline.sources.ingest import ingest as run_ingest

    options = {name: value for name, value in (asdict(folder) | asdict(wit)).items() if value}
    done = run_ingest(config, IngestStep(source, tuple(paths or ()), options), choose_progress())
    say(
        f"{done.dataset}: {done.shard_count} shards, {done.read_count} read = "
        f"{done.written_count} written + {done.rejected_count} rejected; {done.text_count} texts; "
        f"{done.duplicate_count} repeated images"
    )
    if done.notice_counts:
        told = ", ".join(f"{reason} {count:,}" for reason, count in done.notice_counts.items())
        say(f"Left out or passed over, see the view notices: {told}")


def wit_urls(
    paths: Annotated[list[str], typer.Argument(help="Files of WIT, .tsv or .tsv.gz.")],
    out: Annotated[str, typer.Option(help="The Parquet file to write.")],
) -> None:
    """Write the image URLs of WIT, each once.

    The table is the input of img2dataset, which downloads the images.
    """
    from pipeline.sources.layouts.wit_tsv import write_url_table

    count = write_url_table(paths, out, progress=choose_progress())
    say(f"{out}: {count} image URLs")


def layers(
    model: Annotated[
        str,
        typer.Argument(help=find_field(ExtractConfig, "model").help, autocompletion=complete_model),
    ],
) -> None:
    """List the layers of a model that can be read.

    With the number of their units, where they are read and how they are pooled by default.
    """
    from pipeline.clip.layers import PRESETS, list_layers
    from pipeline.clip.model import describe_model, load_clip
    from pipeline.extract.kept import choose_kept

    clip = load_clip(model)
    rows = (
        (
            layer.spec.path,
            layer.tower,
            layer.kind,
            layer.unit_count,
            f"{layer.spec.point}:{layer.spec.pooling}",
            choose_kept("auto", layer.is_rectified),
        )
        for layer in list_layers(clip)
    )
    print_table(("layer", "tower", "module", "units", "default", "stores"), rows, limit=None)
    say("", *describe_model(clip).splitlines())
    say("", "Presets: " + "; ".join(f"{name}: {text}" for name, text in PRESETS.items()))


@settings_as_options()
def extract(
    config: ExtractConfig,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Estimate time and disk space from some images, then stop."),
    ] = False,
    rank: Annotated[
        int | None,
        typer.Option(
            help="Which of several processes this is, from 0: it does every n-th shard. If not given: what "
            "torchrun, SLURM or Kubernetes says (RANK, SLURM_PROCID, JOB_COMPLETION_INDEX)."
        ),
    ] = None,
    world_size: Annotated[
        int | None,
        typer.Option(
            help="How many processes there are; 1 takes all shards. If not given: what torchrun or SLURM says "
            "(WORLD_SIZE, SLURM_NTASKS)."
        ),
    ] = None,
) -> None:
    """Run a model over a dataset and write activations. Repeat it to resume."""
    if dry_run:
        from pipeline.extract.estimate import estimate

        say(*str(estimate(config)).splitlines())
        return
    from pipeline.base.storage import Store
    from pipeline.extract.run import extract as run_extract
    from pipeline.tables.datasets import read_dataset

    ours = find_rank(os.environ, rank, world_size)
    ordinals = None
    if ours is not None:
        shards = read_dataset(Store(config.warehouse), config.dataset).shards
        ordinals = [shard.ordinal for shard in ours.share(shards)]
        complain(
            f"Rank {ours.rank} of {ours.world_size} ({ours.said_by}): {len(ordinals)} of the "
            f"{len(shards)} shards. --world-size 1 takes all."
        )
    done = run_extract(config, choose_progress(), ordinals)
    rate = done.read_count / done.seconds if done.seconds else 0.0
    say(
        f"run {done.run_id}: {done.read_count} read = {done.written_count} written + "
        f"{done.rejected_count} rejected; {done.bytes_written / 1e6:.1f} MB, {done.seconds:.1f} s, "
        f"{rate:.0f} images/s; {done.skipped_shard_count} of {done.shard_count} shards were done"
    )


@settings_as_options()
def budget(question: BudgetQuestion) -> None:
    """Reckon what a run of any size takes.

    Bytes by table, files, hours and devices, without a dataset or a model; --dry-run of extract
    measures a real one.
    """
    from pipeline.extract.budget import reckon

    say(*str(reckon(question)).splitlines())


def similarity(
    warehouse: Warehouse,
    dataset: OneDataset = None,
    run: OneRun = None,
    model: Annotated[str, field_option(SimilarityConfig, "model")] = SimilarityConfig.model,
    template: Annotated[list[str], field_option(SimilarityConfig, "templates")] = list(  # noqa: B006
        SimilarityConfig.templates
    ),
    device: Device = SimilarityConfig.device,
) -> None:
    """Let the model of a run say what its images show.

    Every concept's prompts are compared with the stored embeddings of the images.
    """
    from pipeline.evidence.similarity import score_similarity
    from pipeline.warehouse.connect import connect
    from pipeline.warehouse.find import find_runs

    with connect(warehouse) as connection:
        runs = find_runs(connection, dataset, run)
    for one in runs:
        config = SimilarityConfig(
            warehouse, one.dataset, one.run_id, model, tuple(template), device
        )
        done = score_similarity(config, choose_progress())
        say(
            f"{one.dataset}, run {one.run_id}: {done.concept_count} concepts, {done.example_count} "
            f"images, {done.row_count} likely pairs; {done.skipped_shard_count} of "
            f"{done.shard_count} shards were done"
        )
