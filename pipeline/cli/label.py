"""The commands ``neurons label ...``: sampled images and neurons out to people, their labels back in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from pipeline.base.display import say
from pipeline.base.errors import ConfigError
from pipeline.base.local_file import local_file
from pipeline.base.progress import choose_progress
from pipeline.base.question_settings import Labeller, NeuronSampleOptions, SheetOptions
from pipeline.cli.complete import complete_layer
from pipeline.cli.neuron_arguments import (
    Layer,
    LayerOption,
    Unit,
    UnitOption,
    which_neuron,
)
from pipeline.cli.options import (
    OneDataset,
    OneRun,
    Warehouse,
    examples,
    field_option,
    settings_as_options,
)

label = typer.Typer(
    name="label",
    help="Have people label the images of a neuron.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def add_commands(app: typer.Typer) -> None:
    """Give the command line this group of commands."""
    app.add_typer(label)


@label.command(
    epilog=examples(
        "neurons label export goh2021 29 --warehouse warehouse --out sheet-29",
        "neurons label export goh2021 29 --per-bin 10 --seed 1 --warehouse warehouse",
    )
)
def export(
    warehouse: Warehouse,
    layer: Layer = None,
    unit: Unit = None,
    layer_option: LayerOption = None,
    unit_option: UnitOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=local_file,
            metavar="<path>",
            help="Folder to write; labels-LAYER-UNIT if not given.",
        ),
    ] = None,
    per_bin: Annotated[int, field_option(SheetOptions, "per_bin")] = SheetOptions.per_bin,
    seed: Annotated[int, field_option(SheetOptions, "seed")] = SheetOptions.seed,
    run: OneRun = None,
    dataset: OneDataset = None,
) -> None:
    """Write a sheet of images to label, in blind order.

    They are of every strength of a neuron's activation; nothing on the sheet says how strong.
    """
    from pipeline.base.storage import Store
    from pipeline.labelling.sheet import export_sheet
    from pipeline.warehouse.connect import connect
    from pipeline.warehouse.find import find_neuron

    named = which_neuron(layer, unit, layer_option, unit_option, run, dataset)
    with connect(warehouse) as connection:
        neuron = find_neuron(connection, *named)
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"labels-{neuron.layer}-{neuron.unit}")
        done = export_sheet(
            connection,
            Store(warehouse),
            neuron,
            out or Path(name),
            SheetOptions(per_bin, seed),
            choose_progress(),
        )
    say(
        f"sheet {done.sheet}: {done.image_count} images from {done.bin_count} bins",
        f"Open {done.folder / 'index.html'}, or fill {done.folder / 'labels.csv'}; then: "
        f"neurons label import {done.folder}",
    )


@label.command(
    epilog=examples(
        "neurons label sample --dataset photos --out sample --warehouse warehouse",
        "neurons label sample --layer goh2021 --count 50 --seed 1 --out sample --warehouse warehouse",
    )
)
@settings_as_options()
def sample(
    warehouse: Warehouse,
    options: NeuronSampleOptions,
    layer: Annotated[
        str | None,
        typer.Option(
            help="Layer of the neurons, if the run has several.", autocompletion=complete_layer
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(parser=local_file, metavar="<path>", help="Folder to write.")
    ] = Path("sample"),
    run: OneRun = None,
    dataset: OneDataset = None,
) -> None:
    """Write a sheet of neurons to judge, drawn at random.

    Each picture holds the strongest images of a neuron, or images that belong to none; nothing on the sheet
    says which. The page of neurons paper reads the answers: what share of the neurons a person can name.
    """
    from pipeline.base.storage import Store
    from pipeline.labelling.sample import export_sample
    from pipeline.warehouse.connect import connect
    from pipeline.warehouse.find import find_image_layers, find_run

    with connect(warehouse) as connection:
        found = find_run(connection, dataset, run, layer)
        layers = find_image_layers(connection, found.dataset, found.run_id, layer)
        if len(layers) > 1:
            raise ConfigError(
                f"Run {found.run_id!r} has {len(layers)} layers of the image tower.",
                f"Choose one with --layer: {', '.join(one.layer for one in layers)}.",
            )
        key = export_sample(
            connection, Store(warehouse), layers[0], out, options, choose_progress()
        )
    shams = sum("unit" not in item for item in key["items"])
    say(
        f"sample {key['sample']}: {len(key['items']) - shams} neurons of {key['layer']} and {shams} sets of "
        "images at random",
        f"Open {out / 'index.html'}, and save labels.csv into {out}; then: "
        f"neurons paper --dataset {key['dataset']} --judged {out} --out paper.html",
    )


@label.command(
    "import",
    epilog=examples(
        "neurons label import sheet-29 --labeller ada --warehouse warehouse",
        "neurons label import labels.csv --layer goh2021 --unit 29 --warehouse warehouse",
    ),
)
def import_(
    source: Annotated[
        Path,
        typer.Argument(
            parser=local_file,
            metavar="SOURCE",
            help="Folder of a filled sheet, or a CSV file of labels.",
        ),
    ],
    warehouse: Warehouse,
    labeller: Annotated[str, field_option(Labeller, "labeller")] = Labeller.labeller,
    sheet: Annotated[
        Path | None,
        typer.Option(
            parser=local_file,
            metavar="<path>",
            help="Folder of the sheet, if the CSV file is not in it.",
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(
            help="Layer of the neuron, where a CSV file of example_id and label does not say it.",
            autocompletion=complete_layer,
        ),
    ] = None,
    unit: Annotated[
        int | None, typer.Option(help="Index of the neuron in that layer, from 0.")
    ] = None,
    run: OneRun = None,
    dataset: OneDataset = None,
) -> None:
    """Read labels back.

    They replace what the same labeller said of that neuron before.
    """
    from pipeline.base.storage import Store
    from pipeline.labelling.files import read_labels
    from pipeline.labelling.read_back import import_labels
    from pipeline.warehouse.connect import connect
    from pipeline.warehouse.find import find_neuron

    labels = read_labels(source, sheet)
    if labels.sheet is not None:
        told = labels.sheet.neuron
        layer, unit = told.layer if layer is None else layer, told.unit if unit is None else unit
        run, dataset = run or told.run_id, dataset or told.dataset
    if layer is None or unit is None:
        raise ConfigError(
            f"{labels.path} has labels by example_id, and says of which neuron in no place.",
            "Add --layer LAYER --unit UNIT.",
        )
    with connect(warehouse) as connection:
        neuron = find_neuron(connection, layer, unit, run, dataset)
        done = import_labels(connection, Store(warehouse), neuron, labels, labeller)
    say(
        f"{labels.path}: {done.read_count} read = {done.imported_count} imported + "
        f"{done.unlabelled_count} not labelled + {len(done.rejects)} rejected"
        + ("; the same labels were there already" if done.was_current else "")
    )
    for line, reason in done.rejects[:5]:
        say(f"  line {line}: {reason}")
    if done.unbinned_count:
        say(
            f"  {done.unbinned_count} are in no bin: the run does not store activations at or below zero"
        )
