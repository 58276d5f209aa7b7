"""The command line. Every command is a few lines: it reads arguments and calls the pipeline.

Exit status: 0 done; 1 checks found violations; 2 a usage or input error, told without a traceback;
3 a bug of ours, with one; 130 interrupted.
Heavy imports (torch, DuckDB) are inside the commands, so that ``neurons --help`` is quick.
"""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline import __version__
from pipeline.base.display import complain, guard_terminal, print_table, say
from pipeline.base.errors import ConfigError, NeuronsError, StorageError
from pipeline.base.faults import explain_fault
from pipeline.base.local_file import local_file
from pipeline.base.open_files import raise_open_file_limit
from pipeline.base.progress import choose_progress
from pipeline.base.settings import (
    CONCEPT_TEMPLATES,
    MAX_PIXELS,
    MAX_REJECT_FRAC,
    ExtractConfig,
    IngestConfig,
    IngestStep,
    SimilarityConfig,
)
from pipeline.cli import neuron_arguments
from pipeline.cli.label import label
from pipeline.cli.probes import attack, stroop
from pipeline.cli.report import card, report
from pipeline.cli.search import find, like, neuron_sum
from pipeline.cli.stimuli import stimuli
from pipeline.warehouse.interrupts import STATUS as INTERRUPTED
from pipeline.warehouse.interrupts import is_interrupted, watch_interrupts

app = typer.Typer(
    name="neurons",
    help="What do the neurons of a CLIP model see? Shards in, labelled neurons out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)


class Source(StrEnum):
    """Foreign layouts that can be ingested."""

    img2dataset = "img2dataset"
    wit = "wit"
    wit_base = "wit-base"
    folder = "folder"
    webdataset = "webdataset"


class Duplicates(StrEnum):
    """What counts as one image."""

    near = "near"
    exact = "exact"


class Format(StrEnum):
    """Forms of a query's result."""

    table = "table"
    vertical = "vertical"
    csv = "csv"
    json = "json"
    parquet = "parquet"


class Stale(StrEnum):
    """What to do where marts are older than the data."""

    answer = "answer"
    stop = "stop"


class Polarity(StrEnum):
    """Which end of a neuron's activations."""

    positive = "positive"
    negative = "negative"


Warehouse = Annotated[
    str, typer.Option(envvar="NEURONS_WAREHOUSE", help="Folder or URL of the warehouse.")
]
DatasetName = Annotated[str, typer.Option(help="Name of the dataset.")]
RejectFrac = Annotated[
    float, typer.Option(help="Largest share of rejects (0..1) before a shard fails as a whole.")
]


def _print_version(wanted: bool) -> None:
    if wanted:
        say(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="And stop.")
    ] = False,
    max_spill: Annotated[
        str | None,
        typer.Option(envvar="NEURONS_MAX_SPILL", help="Disk that queries may take, as 200GB."),
    ] = None,
) -> None:
    """What do the neurons of a CLIP model see? Shards in, labelled neurons out."""
    if max_spill is not None:
        os.environ["NEURONS_MAX_SPILL"] = max_spill


_NO_SUCH_PLACE = (errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.ELOOP)
"""What the system says of a path that cannot be meant."""
_OBJECT_STORES = ("botocore", "aiobotocore", "s3fs", "aiohttp", "gcsfs", "adlfs")
"""Packages whose errors are about a place on a network."""
_HOW_TO_GO_ON = "Interrupted. Finished shards are kept: run the same command again."
_USAGE_ERROR: Any = next(k for k in typer.BadParameter.__mro__ if k.__name__ == "ClickException")
"""What wrong arguments raise. Newer versions of typer bring a click of their own: ask typer."""


def _run_app() -> int:
    for argument in sys.argv[1:]:
        if not argument.isascii() and any("\ud800" <= c <= "\udfff" for c in argument):
            raise ConfigError(
                f"The argument {argument!r} is not UTF-8.",
                "Rename the file or folder that it names.",
            )
    try:
        return app(standalone_mode=False) or 0
    except SystemExit as stop:
        if not isinstance(stop.__context__, OSError):
            raise
        # So typer ends when the reader of our output has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing left to flush to
        return 0


def main() -> None:
    """Run the command line and turn our errors into messages."""
    guard_terminal()
    raise_open_file_limit()
    with watch_interrupts():
        try:
            status = _run_app()
        except BaseException as error:
            status = _explain(error)
    if status == INTERRUPTED:
        complain(_HOW_TO_GO_ON)
    sys.exit(status)


def _explain(error: BaseException) -> int:
    """Say what is wrong; the exit status."""
    if is_interrupted() or isinstance(error, KeyboardInterrupt | typer.Abort):
        return INTERRUPTED
    if isinstance(error, _USAGE_ERROR):
        usage = io.StringIO()
        error.show(usage)
        complain(usage.getvalue().rstrip("\n"))
        return 2
    if isinstance(error, NeuronsError):
        complain(f"{type(error).__name__}: {error}")
        return 2
    if not isinstance(error, Exception):
        raise error
    told = None if isinstance(error, FileNotFoundError) else explain_fault(error, "")
    if isinstance(error, OSError) and error.errno in _NO_SUCH_PLACE:
        told = StorageError(f"{error.filename}: {error.strerror}.", "Check the path that you gave.")
    if type(error).__module__.split(".")[0] in _OBJECT_STORES:
        told = StorageError(
            f"The object store does not answer as it should: {str(error).rstrip('.')}.",
            "Check the URL, and credentials and region in the environment (AWS_ACCESS_KEY_ID, ...).",
        )
    if told is not None:  # wherever a limit, a permission or a broken disk was met
        complain(f"{type(told).__name__}: {told}")
        return 2
    complain("".join(traceback.format_exception(error)).rstrip("\n"))
    return 3  # a bug of ours: never to be taken for "checks failed"


@app.command()
def ingest(
    source: Annotated[Source, typer.Argument(help="The layout of the data.")],
    paths: Annotated[list[str], typer.Argument(help="Files, folders, globs, {000..999} or URLs.")],
    warehouse: Warehouse,
    dataset: DatasetName,
    images: Annotated[
        str | None, typer.Option(help="wit: the downloaded images (folder or img2dataset output).")
    ] = None,
    captions: Annotated[
        str | None,
        typer.Option(help="folder: the CSV, TSV, JSONL, JSON or Parquet file with the captions."),
    ] = None,
    max_reject_frac: RejectFrac = MAX_REJECT_FRAC,
    shard_size: Annotated[int, typer.Option(help="Examples in a shard that we write.")] = 1000,
    duplicates: Annotated[
        Duplicates | None,
        typer.Option(
            help="What counts as one image: a file and its resized, re-encoded, grey and slightly "
            "cropped copies (near, the default of a new dataset), or identical files (exact)."
        ),
    ] = None,
) -> None:
    """Turn a foreign layout into a registered dataset of shards. Repeat it to go on or to append."""
    from pipeline.sources.ingest import ingest as run_ingest

    options = {k: v for k, v in (("images", images), ("captions", captions)) if v is not None}
    kind = duplicates.value if duplicates else ""
    config = IngestConfig(warehouse, dataset, max_reject_frac, shard_size, kind)
    done = run_ingest(config, IngestStep(source.value, tuple(paths), options), choose_progress())
    say(
        f"{done.dataset}: {done.shard_count} shards, {done.read_count} read = "
        f"{done.written_count} written + {done.rejected_count} rejected; {done.text_count} texts; "
        f"{done.duplicate_count} repeated images"
    )
    if done.notice_counts:
        told = ", ".join(f"{reason} {count:,}" for reason, count in done.notice_counts.items())
        say(f"Left out or passed over, see the view notices: {told}")


@app.command("wit-urls")
def wit_urls(
    paths: Annotated[list[str], typer.Argument(help="WIT .tsv or .tsv.gz files.")],
    out: Annotated[str, typer.Option(help="The Parquet file to write.")],
) -> None:
    """Write WIT's image URLs, each once, as the input table of img2dataset."""
    from pipeline.sources.layouts.wit_tsv import write_url_table

    count = write_url_table(paths, out, progress=choose_progress())
    say(f"{out}: {count} image URLs")


@app.command()
def layers(
    model: Annotated[
        str,
        typer.Argument(
            help="nano, ARCH:TAG, ARCH:TAG@FILE, hf-hub:ORG/NAME, local-dir:DIR, ARCH:random."
        ),
    ],
) -> None:
    """List the layers of a model that can be read, with their units and default pooling."""
    from pipeline.clip.layers import PRESETS, list_layers
    from pipeline.clip.model import describe_model, load_clip

    clip = load_clip(model)
    rows = (
        (
            layer.spec.path,
            layer.tower,
            layer.kind,
            layer.unit_count,
            f"{layer.spec.point}:{layer.spec.pooling}",
            "positive" if layer.is_rectified else "all",
        )
        for layer in list_layers(clip)
    )
    print_table(("layer", "tower", "module", "units", "default", "stores"), rows, limit=None)
    say("", *describe_model(clip).splitlines())
    say("", "Presets: " + "; ".join(f"{name}: {text}" for name, text in PRESETS.items()))


@app.command()
def extract(
    warehouse: Warehouse,
    dataset: DatasetName,
    model: Annotated[
        str,
        typer.Option(
            help="nano, ARCH:TAG, ARCH:TAG@FILE, hf-hub:ORG/NAME, local-dir:DIR, ARCH:random."
        ),
    ],
    layer: Annotated[
        list[str],
        typer.Option(help="PATH[:input|output][:max|mean|center|cls], or goh2021, vit-mlp."),
    ],
    run: Annotated[str, typer.Option(help="Name of the run; else a hash of its settings.")] = "",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    precision: Annotated[
        str, typer.Option(help="float32, or bfloat16 / float16 autocast on a GPU.")
    ] = "float32",
    batch_size: Annotated[int, typer.Option(help="Images in one forward pass.")] = 64,
    workers: Annotated[int, typer.Option(help="Decoding threads; 0: one a core.")] = 0,
    preprocess: Annotated[str, typer.Option(help="fast, or exact: open_clip's own.")] = "fast",
    store: Annotated[str, typer.Option(help="positive, all, or auto: by layer.")] = "auto",
    activation_dtype: Annotated[str, typer.Option(help="float16 or float32.")] = "float16",
    top_k: Annotated[int, typer.Option(help="Top examples kept of each neuron and shard.")] = 100,
    max_pixels: Annotated[int, typer.Option(help="Larger images are rejected.")] = MAX_PIXELS,
    max_reject_frac: RejectFrac = MAX_REJECT_FRAC,
    memory_budget_mb: Annotated[int, typer.Option(help="Activations held before a write.")] = 1024,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Estimate, then stop.")] = False,
) -> None:
    """Run a model over a dataset and write every neuron's activations. Repeat it to resume."""
    config = ExtractConfig(
        warehouse=warehouse,
        dataset=dataset,
        model=model,
        layers=tuple(layer),
        run=run,
        device=device,
        precision=precision,
        batch_size=batch_size,
        workers=workers,
        preprocess=preprocess,
        max_pixels=max_pixels,
        max_reject_frac=max_reject_frac,
        store=store,
        activation_dtype=activation_dtype,
        top_k=top_k,
        memory_budget_mb=memory_budget_mb,
    )
    if dry_run:
        from pipeline.extract.estimate import estimate

        say(*str(estimate(config)).splitlines())
        return
    from pipeline.extract.run import extract as run_extract

    done = run_extract(config, choose_progress())
    rate = done.read_count / done.seconds if done.seconds else 0.0
    say(
        f"run {done.run_id}: {done.read_count} read = {done.written_count} written + "
        f"{done.rejected_count} rejected; {done.bytes_written / 1e6:.1f} MB, {done.seconds:.1f} s, "
        f"{rate:.0f} images/s; {done.skipped_shard_count} of {done.shard_count} shards were done"
    )


app.add_typer(stimuli)
app.add_typer(label)
app.command()(attack)
app.command()(stroop)
app.command()(find)
app.command()(like)
app.command("sum")(neuron_sum)


@app.command()
def similarity(
    warehouse: Warehouse,
    dataset: Annotated[str | None, typer.Option(help="One dataset; all if not given.")] = None,
    run: Annotated[str | None, typer.Option(help="One run; all if not given.")] = None,
    model: Annotated[
        str, typer.Option(help="The run's own model, if its checkpoint is no longer where it was.")
    ] = "",
    template: Annotated[
        list[str], typer.Option(help='Prompt with {}, as "a photo of {}."; several are averaged.')
    ] = list(CONCEPT_TEMPLATES),  # noqa: B006
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
) -> None:
    """Let a run's own model read its images: every concept's prompts against stored embeddings."""
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


@app.command()
def build(
    warehouse: Annotated[
        str | None,
        typer.Option(help="Folder or URL; before the file's. NEURONS_WAREHOUSE goes after it."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Take [labels] from this job file; see README.")
    ] = None,
    set_: Annotated[
        list[str],
        typer.Option("--set", help="Change a setting of [labels]: label_null_repeats=20"),
    ] = [],  # noqa: B006
) -> None:
    """Write the marts (statistics, top examples, labels) as Parquet, if anything has changed.

    Without --config and --set the settings are those of the last build.
    """
    from pipeline.base.job_file import change_labels, load_labels
    from pipeline.upkeep.build import build as run_build
    from pipeline.warehouse.connect import last_settings

    labels, place = load_labels(config) if config else (None, None)
    place = warehouse or place or os.environ.get("NEURONS_WAREHOUSE")
    if not place:
        raise typer.BadParameter("give --warehouse, or a job file that names it")
    if set_:
        labels = change_labels(labels or last_settings(place), set_)
    done = run_build(place, labels, progress=choose_progress())
    for name, count in done.row_counts.items():
        say(f"{name}: {count} rows")
    say("nothing had changed" if done.was_current else "built")


@app.command()
def check(
    warehouse: Warehouse,
    deep: Annotated[
        bool, typer.Option("--deep", help="Read every file, also those found good before.")
    ] = False,
    dataset: Annotated[str | None, typer.Option(help="One dataset; all if not given.")] = None,
) -> None:
    """Check that everything adds up. Exit status 1 if it does not."""
    from pipeline.upkeep.check import check as run_check
    from pipeline.upkeep.check import run_violations

    results = run_check(warehouse, choose_progress(), deep, dataset)
    for result in results:
        mark = "ok" if not result.violation_count else "WARN" if result.is_warning else "FAIL"
        say(f"{mark:4}  {result.name}: {result.violation_count}  {result.purpose}")
        for row in result.rows[:5]:
            shown = ", ".join(f"{k}={v}" for k, v in zip(result.columns, row, strict=True))
            say(f"        {shown}")
    if run_violations(results):
        raise typer.Exit(1)


@app.command()
def repair(
    warehouse: Warehouse,
    dataset: Annotated[str | None, typer.Option(help="One dataset; all if not given.")] = None,
    model: Annotated[
        str, typer.Option(help="The runs' model, if it is no longer where it was.")
    ] = "",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...; else the runs' own.")] = "",
) -> None:
    """Make again what is damaged or gone. Exit status 1 if something is left."""
    from pipeline.upkeep.repair import repair as run_repair

    done = run_repair(warehouse, dataset, model, device, choose_progress())
    for line in done.done:
        say(f"made again  {line}")
    for line in done.left:
        say(f"LEFT        {line}")
    if not done.damage_count:
        say("nothing is damaged")
    if done.left:
        raise typer.Exit(1)


@app.command()
def compact(
    warehouse: Warehouse,
    run: Annotated[str | None, typer.Option(help="One run; all if not given.")] = None,
) -> None:
    """Sort and rank the activations of finished runs, so that questions are fast."""
    from pipeline.upkeep.compact import compact as run_compact

    done = run_compact(warehouse, run, choose_progress())
    say(
        f"{done.run_count} runs compacted, {done.skipped_run_count} were already: "
        f"{done.row_count} rows, {done.bytes_before / 1e6:.1f} MB -> {done.bytes_after / 1e6:.1f} MB"
    )


@app.command()
def sql(
    warehouse: Warehouse,
    query: Annotated[
        str | None,
        typer.Argument(
            help="SQL over the views; see: show tables. Without it a prompt opens, or what another "
            "program sends is read.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[  # noqa: A002
        Format | None,
        typer.Option(
            help="Form of the result. A table if not given; vertical, one line a column, where a "
            "terminal is too narrow for it.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=local_file, metavar="<path>", help="File to write; needed for parquet."
        ),
    ] = None,
    stale: Annotated[
        Stale | None,
        typer.Option(envvar="NEURONS_STALE", help="Where marts are older than the data."),
    ] = None,
) -> None:
    """Run a query over the views. It reads the warehouse and nothing else, and changes nothing."""
    from pipeline.cli.query import run_query

    form, do = format.value if format else "fitting", stale.value if stale else None
    if query is None and sys.stdin.isatty():
        from pipeline.cli.prompt import open_prompt

        open_prompt(warehouse, form, out, do)
    else:
        run_query(warehouse, sys.stdin.read() if query is None else query, form, out, do)


@app.command()
def top(
    warehouse: Warehouse,
    layer: neuron_arguments.Layer = None,
    unit: neuron_arguments.Unit = None,
    layer_option: neuron_arguments.LayerOption = None,
    unit_option: neuron_arguments.UnitOption = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many examples.")] = 20,
    polarity: Annotated[Polarity, typer.Option(help="Exciting or inhibiting.")] = Polarity.positive,
    run: neuron_arguments.Run = None,
    dataset: neuron_arguments.Dataset = None,
    sheet: Annotated[
        Path | None,
        typer.Option(parser=local_file, metavar="<path>", help="Also draw them: a PNG file."),
    ] = None,
) -> None:
    """Show the examples that excite (or inhibit) a neuron most."""
    from pipeline.search.top import show_top

    where = neuron_arguments.which_neuron(layer, unit, layer_option, unit_option, run, dataset)
    show_top(warehouse, where, k, polarity.value, sheet)


app.command()(card)
app.command()(report)


@app.command("run")
def run_config(
    config: Annotated[Path, typer.Argument(help="TOML file; see README.")],
    warehouse: Annotated[
        str | None, typer.Option(help="Goes before the file's; NEURONS_WAREHOUSE goes after it.")
    ] = None,
) -> None:
    """Ingest, extract, build and check, from one file."""
    from pipeline.base.job_file import load_config
    from pipeline.jobs.job import run_job
    from pipeline.upkeep.check import run_violations

    fallback = os.environ.get("NEURONS_WAREHOUSE")
    done = run_job(load_config(config, warehouse, fallback), choose_progress())
    say(*done.lines)
    if run_violations(done.checks):
        raise typer.Exit(1)


@app.command()
def demo(
    warehouse: Annotated[str, typer.Option(envvar="NEURONS_WAREHOUSE")] = "warehouse",
) -> None:
    """Run everything on embedded data: stimuli, a small CLIP with planted neurons, no download."""
    from pipeline.jobs.demo import FIRST_LINE, run_demo
    from pipeline.upkeep.check import run_violations

    say(FIRST_LINE)
    done = run_demo(warehouse, choose_progress())
    say(*done.job.lines)
    say(
        "",
        f"Planted neurons that got their own concept as label: {done.right_count} of "
        f"{done.planted_count}; of those known to be good {done.asserted_right_count} of "
        f"{done.asserted_count}.",
        f"Planted neurons whose strongest image is the right one in every form: "
        f"{done.every_form_count} of {done.planted_count}.",
    )
    for neuron in done.neurons:
        planted = f"planted: {neuron.planted}" if neuron.planted else "free"
        say(f"  unit {neuron.unit} ({planted}): {neuron.evidence}")
    for title, columns, rows in done.tables:
        say("", title)
        print_table(columns, iter(rows))
    say("", f"Warehouse  {done.warehouse}")
    for sheet in done.sheets:
        say(f"Picture    {sheet}")
    if run_violations(done.checks):
        raise typer.Exit(1)
