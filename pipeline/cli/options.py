"""Options of the command line, made from the fields of settings: name, type, default and help stand there."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer

from pipeline.base.fields import Field, Settings, find_field, list_fields
from pipeline.base.question_settings import Answers, Polarity, Which
from pipeline.base.settings import ExtractConfig, IngestConfig
from pipeline.cli.complete import complete_dataset, complete_layer, complete_model, complete_run

_COMPLETERS: dict[str, Callable[..., list[str]]] = {
    "dataset": complete_dataset,
    "run": complete_run,
    "layers": complete_layer,
    "layer": complete_layer,
    "model": complete_model,
}


def field_option(kind: type[Settings], name: str) -> Any:
    """The option of one field, for a command that does not take all of its settings."""
    return _option(find_field(kind, name))


def _option(field: Field) -> Any:
    flag = _singular(field.name) if get_origin(field.type) is tuple else field.name
    return typer.Option(
        f"--{flag.replace('_', '-')}" if len(flag) > 1 else f"-{flag}",
        help=field.help,
        envvar="NEURONS_WAREHOUSE" if field.name == "warehouse" else None,
        autocompletion=_COMPLETERS.get(field.name),
    )


def _singular(name: str) -> str:
    """An option of a list is given once for each item: ``layers`` is ``--layer``."""
    if name.endswith("ies"):
        return name.removesuffix("ies") + "y"
    return name.removesuffix("es") if name.endswith("sses") else name.removesuffix("s")


def settings_as_options(
    *arguments: str, **defaults: Any
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for every field of the settings that it takes, in place of these.

    Args:
        arguments: Fields that are said without a name, by their place.
        defaults: By field, where the command's default is not the field's.

    Returns:
        A decorator. Parameters of the command that are annotated with a `Settings` class are made from
        the options; all others are as typer takes them.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(command, include_extras=True)
        kinds = {name: kind for name, kind in hints.items() if _is_settings(kind)}
        parameters: list[inspect.Parameter] = []
        for one in inspect.signature(command).parameters.values():
            if one.name in kinds:
                parameters += [
                    _parameter(field, field.name in arguments, defaults)
                    for field in list_fields(kinds[one.name])
                ]
            else:
                parameters.append(
                    one.replace(annotation=hints[one.name], kind=inspect.Parameter.KEYWORD_ONLY)
                )

        parameters.sort(key=lambda one: one.name != "warehouse")  # where, before what

        def run(**given: Any) -> None:
            made = {name: _make(kind, given) for name, kind in kinds.items()}
            command(**made, **given)

        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # functions may have one
        return run

    return decorate


def _is_settings(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Settings)


def _make(kind: type[Settings], given: dict[str, Any]) -> Settings:
    """Settings from the options of a command, which are taken out of ``given``."""
    values = {field.name: _plain(given.pop(field.name)) for field in list_fields(kind)}
    empty = {
        field.name: field.default
        for field in list_fields(kind)
        if values[field.name] is None  # a choice that was not made
    }
    return kind(**values | empty)


def _plain(value: Any) -> Any:
    """A value as settings have it: choices of a list come as members of an enum."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value.value if isinstance(value, StrEnum) else value


_make_enum: Any = StrEnum
"""As types see it, an enum has its members in its source."""


def _parameter(field: Field, is_argument: bool, defaults: dict[str, Any]) -> inspect.Parameter:
    kind = field.type
    is_list = get_origin(kind) is tuple
    default = defaults.get(
        field.name, inspect.Parameter.empty if field.is_required else field.default
    )
    if field.choices:
        kind = Literal[field.choices]
        if default == "":
            kind, default = kind | None, None
    elif is_list:
        kind = get_args(kind)[0]
    if is_list:
        if field.choices:  # typer has no lists of literals
            kind = _make_enum(field.name, [(choice, choice) for choice in field.choices])
        kind = list[kind]  # type: ignore[valid-type]  # made at run time, for typer
        default = list(default) if isinstance(default, tuple) else default
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[
            kind, typer.Argument(help=field.help) if is_argument else _option(field)
        ],
    )


WORDS = {
    "warehouse": "folder or URL with all that is known, as Parquet files",
    "dataset": "images that were brought in, in shards",
    "shard": "a tar file of a dataset",
    "example": "one image with all its texts",
    "run": "one model with its settings, over one dataset",
    "layer": "where in the model a run reads; a preset names some, as goh2021",
    "preset": "a name for the layers that are read most",
    "neuron": "a unit of a layer",
    "unit": "index of a neuron in its layer, from 0",
    "activation": "how strongly a neuron answers to an example: one number",
    "concept": "what an image shows, as Japan",
    "category": "what a concept belongs to, as region",
    "facet": "the form in which an image shows it, as rendered word",
    "label": "the concept of a neuron, with the evidence for it",
    "stimulus": "an image whose content is known, since it was made here",
    "view": "a table of the warehouse that SQL can ask",
}
"""Words of ours in the help, as `neurons --help` explains them."""


def say_words() -> str:
    """The words, each on a line of its own."""
    return "\n".join(("\b", "Words:", *(f"  {word:11}{text}" for word, text in WORDS.items())))


def examples(*lines: str) -> str:
    """The end of a command's help: commands to copy, each on a line of its own."""
    title = "Example:" if len(lines) == 1 else "Examples:"
    return "\n".join(("\b", title, *(f"  {line}" for line in lines)))


Warehouse = Annotated[str, field_option(IngestConfig, "warehouse")]
Model = Annotated[str, field_option(ExtractConfig, "model")]
Device = Annotated[str, field_option(ExtractConfig, "device")]
OneDataset = Annotated[str | None, field_option(Which, "dataset")]
OneRun = Annotated[str | None, field_option(Which, "run")]
Shown = Annotated[int, field_option(Answers, "k")]
WhichEnd = Annotated[Polarity, field_option(Answers, "polarity")]
