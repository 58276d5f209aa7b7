"""Options are made from settings, every command says how it is used, and the shell completes names."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from waiting import LIMIT_S

from pipeline.base.fields import list_fields
from pipeline.base.question_settings import Search, SumQuestion
from pipeline.base.settings import (
    ClassChoice,
    ExtractConfig,
    FolderOptions,
    IngestConfig,
    WitOptions,
)
from pipeline.base.stimulus_settings import (
    FormOptions,
    PictureOptions,
    StroopOptions,
    TypographicOptions,
    WordOptions,
)
from pipeline.cli.app import app
from pipeline.cli.commands import MODULES, make_app
from pipeline.cli.complete import _PRESETS
from pipeline.cli.options import WORDS

ROOT = get_command(app)
DOCS = Path(__file__).parents[2] / "docs"


def _commands(
    group: Any = ROOT, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(_commands())
OF_SETTINGS = [
    (("ingest",), (IngestConfig, FolderOptions, WitOptions)),
    (("extract",), (ExtractConfig,)),
    (("attack",), (ExtractConfig, ClassChoice)),
    (("stroop",), (ExtractConfig, ClassChoice)),
    (("stimuli", "pictures"), (IngestConfig, PictureOptions)),
    (("stimuli", "words"), (IngestConfig, WordOptions)),
    (("stimuli", "typographic"), (IngestConfig, TypographicOptions)),
    (("stimuli", "stroop"), (IngestConfig, StroopOptions)),
    (("stimuli", "forms"), (IngestConfig, FormOptions)),
    (("find",), (Search,)),
    (("sum",), (SumQuestion,)),
]


@pytest.mark.parametrize(("path", "kinds"), OF_SETTINGS, ids=lambda value: str(value[0]))
def test_a_command_has_an_option_for_every_field_of_its_settings(path, kinds):
    options = {one.name: one for one in COMMANDS[path].params}
    for field in (field for kind in kinds for field in list_fields(kind)):
        option = options[field.name]
        assert option.help == field.help
        if path != ("extract",) and field.name == "layers":
            continue  # the tests on words have a default
        if field.is_required:
            assert option.required
        elif field.default != "":
            assert option.default == (
                list(field.default) if isinstance(field.default, tuple) else field.default
            )


def test_attack_and_stroop_take_all_that_extract_takes():
    alone = {"--dry-run", "--rank", "--world-size"}  # what follows in a test needs all shards
    extract = {o for one in COMMANDS["extract",].params for o in one.opts} - alone
    for name in ("attack", "stroop"):
        assert extract <= {o for one in COMMANDS[name,].params for o in one.opts}


def _groups(group: Any = ROOT, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, group
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _groups(command, (*path, name))


HELPED = {**COMMANDS, **dict(_groups())}
OURS = {
    word.strip()
    for row in re.findall(r"^\| ([a-z, ]+) \|", (DOCS / "index.md").read_text(), re.MULTILINE)
    for word in row.split(",")
    if row != "word"
} | {"preset", "view", "warehouse", "dataset", "facet", "bin", "grain"}
"""Words that have a meaning here which a newcomer cannot know."""


@pytest.mark.parametrize("path", HELPED, ids=lambda path: " ".join(path) or "neurons")
def test_help_is_whole_sentences_without_a_word_that_only_we_know(path):
    texts = {"": HELPED[path].help, **{one.name: one.help for one in HELPED[path].params}}
    assert {"shard", "mart", "concept"} < OURS
    for name, text in texts.items():
        assert text, name
        told = " ".join(text.split())
        assert re.match(r"[A-Z]", told) and re.search(r"\.$|\?$", told), (name, told)
        assert "`" not in told
        words = set(re.findall(r"[a-z]+", told.lower()))
        known = {word for word in OURS if {word, f"{word}s"} & words}
        assert known <= set(WORDS), (name, known - set(WORDS))


@pytest.mark.parametrize("width", [80, 120])
def test_lists_of_commands_are_not_cut_short(width):
    for path, group in _groups():
        context = group.make_context(
            "neurons", [], resilient_parsing=True, terminal_width=width, max_content_width=width
        )
        text = group.get_help(context)
        assert "..." not in text.split("Commands:")[1].split("Examples:")[0], path
        assert max(map(len, text.split("Examples:")[0].splitlines())) <= width, path


def test_words_of_ours_are_explained_where_a_newcomer_looks_first(told):
    out = told("--help")
    for word, text in WORDS.items():
        assert f"{word:11}{text}" in out


def test_the_first_examples_can_be_typed():
    lines = [line for line in ROOT.epilog.splitlines() if line.startswith("  neurons ")]
    assert len(lines) >= 4
    for line in lines:
        _, name, *words = shlex.split(line)
        COMMANDS[name,].make_context(name, words)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_an_example_that_can_be_typed(path):
    lines = [line for line in (COMMANDS[path].epilog or "").splitlines() if "neurons " in line]
    assert lines
    for line in lines:
        name, *words = shlex.split(line)
        assert name == "neurons"
        assert tuple(words[: len(path)]) == path
        COMMANDS[path].make_context(
            " ".join(path), words[len(path) :]
        )  # nothing is missing or unknown


def _complete(line: str, place: object = "") -> list[str]:
    """What the shell is offered at the end of a line, by the program itself, in a process of its own."""
    run = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv = ['neurons']; "
         "from pipeline.cli.entry import main; main()"],
        env={
            **os.environ,
            "_NEURONS_COMPLETE": "complete_fish",
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
            "_TYPER_COMPLETE_ARGS": line,
            "NEURONS_WAREHOUSE": str(place),
        },
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )  # fmt: skip
    assert run.stderr == ""
    return [one.split("\t")[0] for one in run.stdout.splitlines()]


@pytest.mark.slow
def test_the_shell_completes_commands_and_choices():
    assert _complete("neurons ext") == ["extract"]
    assert _complete("neurons label im") == ["import"]
    assert _complete("neurons extract --precision b") == ["bfloat16", "bfloat16-weights"]
    assert _complete("neurons ingest f") == ["folder"]


@pytest.fixture
def offered(tmp_path):
    """A warehouse that is but folders and records; the names offered at the end of a line."""
    for dataset, run, layers in (
        ("photos", "r1", ["visual.layer4.2.act3:input:max"]),
        ("photos", "r2", ["visual.layer3:output:max"]),
        ("caf%C3%A9", "r3", []),
        ("photos", "broken", None),
    ):
        folder = tmp_path / f"dataset={dataset}" / f"run_id={run}"
        folder.mkdir(parents=True)
        record = {
            "layers": [{"layer": one} for one in layers or []],
            "config": {"model": f"M:{run}"},
        }
        (folder / "run.json").write_text("{" if layers is None else json.dumps(record))

    def offer(line: str, where: object = tmp_path) -> list[str]:
        *words, incomplete = line.split(" ")
        command, path = ROOT, []
        while words and words[0] in getattr(command, "commands", {}):
            path.append(words.pop(0))
            command = command.commands[path[-1]]
        context = command.make_context(
            " ".join(path), ["--warehouse", str(where), *words[:-1]], resilient_parsing=True
        )
        (one,) = [one for one in command.params if words[-1] in one.opts]
        return [item.value for item in one.shell_complete(context, incomplete)]

    return offer


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("extract --dataset ", ["café", "photos"]),
        ("top --dataset ph", ["photos"]),
        ("top --run ", ["broken", "r1", "r2", "r3"]),
        ("top --dataset photos --run r", ["r1", "r2"]),
        ("like --layer visual", ["visual.layer3:output:max", "visual.layer4.2.act3:input:max"]),
        ("find --run r1 --layer visual", ["visual.layer4.2.act3:input:max"]),
        ("find --run b --layer visual", []),
        ("extract --layer go", ["goh2021"]),
        ("attack --model ", ["M:r1", "M:r2", "M:r3", "nano"]),
        ("similarity --dataset c", ["café"]),
        ("check --dataset c", ["café"]),
        ("label export --layer vit", ["vit-mlp", "vit-mlp-all"]),
        ("report --run r3", ["r3"]),
    ],
)
def test_names_of_the_warehouse_are_offered(offered, line, names):
    assert offered(line) == names


@pytest.mark.parametrize("place", ["nowhere", "s3://bucket/warehouse", ""])
def test_where_no_warehouse_can_be_read_quickly_nothing_is_offered(offered, place):
    assert offered("top --dataset ", place) == []
    assert offered("extract --layer goh", place) == ["goh2021"]


@pytest.mark.slow
def test_a_key_press_brings_nothing_heavy(tiny_warehouse):
    """The real thing, on a real warehouse: what the modules are that completion has loaded."""
    code = (
        "import sys, atexit; sys.argv = ['neurons']; "
        "atexit.register(lambda: print([m for m in ('torch', 'duckdb', 'pyarrow', 'prefect'"
        ") if m in sys.modules], file=sys.stderr)); "
        "from pipeline.cli.entry import main; main()"
    )
    env = {
        **os.environ,
        "_NEURONS_COMPLETE": "complete_fish",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_ARGS": "neurons top --dataset t",
        "NEURONS_WAREHOUSE": str(tiny_warehouse),
    }
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert run.stdout.split() == ["textures"]
    assert run.stderr.strip() == "[]"


def test_presets_are_those_of_the_model_code():
    from pipeline.clip.layers import PRESETS

    assert tuple(PRESETS) == _PRESETS


def test_a_command_that_is_named_is_made_from_its_own_file_alone() -> None:
    for names in MODULES.values():
        assert tuple(get_command(make_app(names[-1])).commands) == names
    assert {*ROOT.commands} == {name for names in MODULES.values() for name in names}
