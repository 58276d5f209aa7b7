"""How a neuron is named on the command line: LAYER UNIT, or --layer LAYER --unit UNIT, as one likes."""

from __future__ import annotations

from typing import Annotated, TypeVar

import typer

from pipeline.base.errors import ConfigError
from pipeline.cli.complete import complete_layer
from pipeline.warehouse.find import NamedNeuron

Layer = Annotated[
    str | None,
    typer.Argument(
        metavar="LAYER",
        help="Layer of the neuron: its name, its path, or a preset as goh2021.",
        autocompletion=complete_layer,
    ),
]
Unit = Annotated[
    int | None, typer.Argument(metavar="UNIT", help="Index of the neuron in its layer, from 0.")
]
LayerOption = Annotated[
    str | None,
    typer.Option("--layer", help="Layer of the neuron, as LAYER.", autocompletion=complete_layer),
]
UnitOption = Annotated[
    int | None, typer.Option("--unit", help="Index of the neuron in its layer, as UNIT.")
]

Said = TypeVar("Said")


def which_neuron(
    layer: str | None,
    unit: int | None,
    layer_option: str | None,
    unit_option: int | None,
    run: str | None,
    dataset: str | None,
) -> NamedNeuron:
    """The neuron that is named, from either way of saying it.

    Raises:
        ConfigError: The layer or the unit is not said, or said twice.
    """
    if layer_option is not None and unit is None and unit_option is None and layer is not None:
        unit = _whole_number(layer)  # --layer LAYER UNIT
        layer = None
    layer, unit = _one("layer", layer, layer_option), _one("unit", unit, unit_option)
    if layer is None or unit is None:
        missing = [name for name, said in (("layer", layer), ("unit", unit)) if said is None]
        raise ConfigError(
            f"The neuron's {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not said.",
            "Name it as LAYER UNIT, for example goh2021 29, or with --layer and --unit.",
        )
    return NamedNeuron(layer, unit, run, dataset)


def _one(name: str, argument: Said | None, option: Said | None) -> Said | None:
    if argument is not None and option is not None:
        raise ConfigError(
            f"The {name} is said twice: {argument!r} and --{name} {option!r}.",
            "Give one of them.",
        )
    return option if argument is None else argument


def _whole_number(text: str) -> int:
    if not text.isdecimal():
        raise ConfigError(f"{text!r} is no unit.", "Units are whole numbers from 0.")
    return int(text)
