"""A setting is written once: what it is comes from its field, and what it cannot be is told by name."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from pipeline.base import job_settings, settings, stimulus_settings
from pipeline.base.errors import ConfigError
from pipeline.base.fields import Field, Settings, list_fields, make_settings
from pipeline.base.job_file import load_config, load_labels
from pipeline.sources.layouts.openmoji import OpenMojiOptions

KINDS = [
    *dict.fromkeys(
        kind
        for module in (settings, stimulus_settings, job_settings)
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Settings) and kind is not Settings
    ),
    OpenMojiOptions,
]
FIELDS = [
    pytest.param(kind, field, id=f"{kind.__name__}.{field.name}")
    for kind in KINDS
    for field in list_fields(kind)
]
WRONG = (True, "a", 1, -1, 0.5, 7e9, float("nan"), [], [1], ["a"], [True], {"a": 1}, None)
SECTIONS = {
    "ingest": ((settings.IngestStep, settings.IngestConfig), 'source = "folder"\n'),
    "extract": ((settings.ExtractConfig,), 'model = "nano"\nlayers = ["goh2021"]\n'),
    "attack": (
        (settings.ExtractConfig, settings.ClassChoice),
        'model = "nano"\nlayers = ["goh2021"]\n',
    ),
    "stimuli": ((settings.IngestConfig,), ""),
    "stimuli.pictures": ((stimulus_settings.PictureOptions,), ""),
    "stimuli.words": ((stimulus_settings.WordOptions,), ""),
    "stimuli.typographic": (
        (stimulus_settings.TypographicOptions,),
        'images = "openmoji"\ntexts = ["a"]\n',
    ),
    "stimuli.stroop": ((stimulus_settings.StroopOptions,), ""),
    "stimuli.forms": ((stimulus_settings.FormOptions,), 'images = "openmoji"\n'),
    "labels": ((settings.LabelSettings,), ""),
    "runner": ((job_settings.RunnerConfig,), ""),
}


def _sample(field: Field) -> Any:
    """A value that the field can have."""
    if not field.is_required:
        return field.default
    if isinstance(field.type, type) and issubclass(field.type, Settings):
        return field.type(**_whole(field.type))
    is_list = field.name in ("layers", "classes", "templates", "texts")
    return ("a",) if is_list else (field.choices or ("a",))[0]


def _whole(kind: type[Settings]) -> dict[str, Any]:
    return {field.name: _sample(field) for field in list_fields(kind) if field.is_required}


@pytest.mark.parametrize(("kind", "field"), FIELDS)
def test_a_field_has_a_sentence_and_what_it_can_be(kind, field):
    assert field.text.endswith(".")
    assert len(field.text) > 15
    assert field.expected
    if not field.is_required:
        assert field.take(field.default) == field.default


@pytest.mark.parametrize(("kind", "field"), FIELDS)
def test_a_wrong_value_is_told_by_name_value_and_what_is_expected(kind, field):
    refused = 0
    for value in WRONG:
        try:
            kind(**_whole(kind) | {field.name: value})
        except ConfigError as error:
            refused += 1
            assert error.message.startswith(f"{field.name} is "), error
            assert error.hint == f"It must be {field.expected}."
    assert refused >= 3


@pytest.mark.parametrize(("kind", "field"), FIELDS)
def test_what_we_refuse_pydantic_refuses_and_what_we_take_it_takes(kind, field):
    """Prefect's form is made from the same annotations, by pydantic."""
    adapter = TypeAdapter(field.annotation)
    for value in WRONG:
        if isinstance(value, float) and value != value:
            continue  # JSON has no NaN
        try:
            field.take(value)
            is_taken = True
        except ConfigError:
            is_taken = False
        given = tuple(value) if isinstance(value, list) else value
        try:
            adapter.validate_python(given, strict=True)
            is_valid = True
        except ValueError:
            is_valid = False
        assert is_taken == is_valid, value


def _job(folder: Path, section: str, line: str) -> Path:
    tables = {
        name: text for name, (_, text) in SECTIONS.items() if name != "ingest" or section == name
    }
    name = line.split(" ")[0]
    body = "".join(
        f"[{table}]\n"
        + "".join(
            f"{one}\n"
            for one in text.splitlines()
            if not (table == section and one.startswith(f"{name} "))
        )
        + (f"{line}\n" if table == section else "")
        for table, text in tables.items()
    )
    path = folder / "job.toml"
    path.write_text(f'warehouse = "w"\ndataset = "d"\n{body}')
    return path


@pytest.mark.parametrize(
    ("section", "field"),
    [
        pytest.param(section, field, id=f"{section}.{field.name}")
        for section, (kinds, _) in SECTIONS.items()
        for kind in kinds
        for field in list_fields(kind)
    ],
)
def test_a_wrong_value_in_any_section_of_a_job_file(tmp_path, section, field):
    for text in ("1979-05-27", "{ a = 1 }", "[[1]]") + (() if field.type is str else ('"a"',)):
        if field.name == "options" and text.startswith("{"):
            continue
        path = _job(tmp_path, section, f"{field.name} = {text}")
        with pytest.raises(ConfigError) as caught:
            load_config(path)
        assert caught.value.message.startswith(f"{path} [{section}]: {field.name} is ")
        assert caught.value.hint == f"It must be {field.expected}."


@pytest.mark.parametrize(
    ("section", "line", "message", "hint"),
    [
        ("extract", 'layers = "goh2021"', "layers is 'goh2021'", "a list of texts, at least 1"),
        ("labels", 'label_origins = "texts"', "label_origins is 'texts'", "stimulus, texts, sim"),
        ("labels", 'label_origins = ["text"]', "label_origins is ['text']", "a list of some of"),
        ("extract", "batch_size = true", "batch_size is true", "a whole number, 1 or more"),
        ("extract", "max_reject_frac = nan", "max_reject_frac is nan", "a number, from 0 to 1"),
        ("extract", 'precission = "float32"', "'precission' cannot be set", "mean 'precision'?"),
        ("ingest", "shardsize = 3", "'shardsize' cannot be set", "mean 'shard_size'?"),
        ("labels", "label_topk = 3", "'label_topk' cannot be set", "mean 'label_top_k'?"),
        ("ingest", 'source = "foldr"', "source is 'foldr'", "one of: img2dataset, wit"),
        ("labels", 'text_kinds = ["captions"]', "text_kinds is ['captions']", "caption, attr"),
    ],
)
def test_the_message(tmp_path, section, line, message, hint):
    path = _job(tmp_path, section, line)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert caught.value.message == f"{path} [{section}]: {message}."
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ingest = 3", "[ingest] is 3"),
        ('extract = "x"', "[extract] is 'x'"),
        ("extract = [1]", "[extract] is 1"),
        ("labels = []", "[labels] is []"),
        ("similarity = 1", "similarity is 1"),
        ("[ingest]\npaths = []", "[ingest] lacks source"),
        ("[[extract]]\nlayers = ['a']", "[extract] lacks model"),
    ],
)
def test_a_section_that_is_none(tmp_path, text, message):
    path = tmp_path / "job.toml"
    path.write_text(f'warehouse = "w"\ndataset = "d"\n{text}\n')
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert message in caught.value.message


@pytest.mark.parametrize("name", ["warehouse", "dataset"])
def test_a_place_that_is_no_text(tmp_path, name):
    path = tmp_path / "job.toml"
    path.write_text(f"{name} = 3\n")
    for load in (load_config, load_labels):
        with pytest.raises(ConfigError, match=f"{name} is 3"):
            load(path)


@pytest.mark.parametrize("source", ["folder", "wit", "openmoji", "webdataset", "img2dataset"])
def test_options_of_a_source_are_checked_too(tmp_path, source):
    from pipeline.sources.ingest import ingest

    config = settings.IngestConfig(str(tmp_path / "w"), "d")
    for options, told in (
        ({"imagse": "x"}, "options of the source .*'imagse' cannot be set"),
        ({"captions": 3, "images": 3, "size_px": "big"}, "is 3|is 'big'|cannot be set"),
    ):
        with pytest.raises(ConfigError, match=told):
            ingest(config, settings.IngestStep(source, ("in",), options))


def test_lists_and_paths_of_python_are_taken(tmp_path):
    made = settings.ExtractConfig(tmp_path, "d", "nano", ["goh2021"])
    assert (made.warehouse, made.layers) == (str(tmp_path), ("goh2021",))
    assert dataclasses.replace(made, top_k=3).top_k == 3
    with pytest.raises(ConfigError, match="top_k is 0"):
        dataclasses.replace(made, top_k=0)


def test_settings_of_a_name_that_is_not_there():
    with pytest.raises(ConfigError, match="here: 'modle' cannot be set"):
        make_settings(settings.ExtractConfig, {"modle": "nano"}, "here")


def test_prefects_form_shows_the_sentences_choices_and_bounds():
    form = TypeAdapter(settings.ExtractConfig).json_schema()["properties"]
    for field in list_fields(settings.ExtractConfig):
        assert " ".join(form[field.name]["description"].split()) == field.text
    assert form["precision"]["enum"] == ["float32", "bfloat16", "float16", "bfloat16-weights"]
    assert form["batch_size"]["minimum"] == 1
