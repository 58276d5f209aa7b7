"""A hook of mkdocs: it writes the pages of reference/ from the code, so that they cannot drift."""

from __future__ import annotations

import base64
import inspect
import json
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from typer.main import get_command

from pipeline.base import (
    effect_settings,
    errors,
    facet_settings,
    job_settings,
    settings,
    stimulus_settings,
    support_settings,
    visualise_settings,
)
from pipeline.base.fields import list_fields
from pipeline.cli.app import app
from pipeline.warehouse import views

ROOT = Path(__file__).parent.parent
SHOWN_SETTINGS = (
    "IngestStep",
    "FolderOptions",
    "WitOptions",
    "IngestConfig",
    "ExtractConfig",
    "SimilarityConfig",
    "ClassChoice",
    "LabelSettings",
    "RunnerConfig",
    "PipelineConfig",
    "StimuliConfig",
    "PictureOptions",
    "WordOptions",
    "TypographicOptions",
    "StroopOptions",
    "FormOptions",
)
"""What people can set; the others are made from these."""

_SETTINGS = (
    *(settings, stimulus_settings, effect_settings, support_settings, facet_settings),
    visualise_settings,
    job_settings,
)

SEARCHED_LAST = "---\nsearch:\n  boost: 0.2\n---\n\n"
"""Pages that explain go first in a search: this one has every word."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are written now; a notebook becomes a page, and stays to be downloaded."""
    pages = {
        "reference/commands.md": write_commands(),
        "reference/settings.md": write_settings(),
        "reference/data.md": SEARCHED_LAST + views.write_dictionary(),
        "reference/errors.md": write_errors(),
        "reference/nano.md": (ROOT / "pipeline/nano/MODEL_CARD.md").read_text(encoding="utf-8"),
    }
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    for file in [file for file in files if file.src_uri.endswith(".ipynb")]:
        pictures: dict[str, bytes] = {}
        text = write_notebook(json.loads(file.content_string), pictures)
        files.append(File.generated(config, file.src_uri.replace(".ipynb", ".md"), content=text))
        folder = file.src_uri.rpartition("/")[0]
        for name, data in pictures.items():
            files.append(File.generated(config, f"{folder}/{name}", content=data))
    return files


def write_commands() -> str:
    """Every command with its help."""
    out = [
        "# Commands",
        "",
        "What `--help` prints. Commands take `--warehouse DIR`, or `NEURONS_WAREHOUSE` from the environment.",
        "Exit status: 0 done; 1 checks found violations, or something is left to repair; 2 a usage or input",
        "error, told without a traceback; 3 a bug of ours, with one; 130 interrupted.",
    ]
    for name, text in _walk_commands(get_command(app), "neurons"):
        out += ["", f"## {name}", "", "```text", text.rstrip(), "```"]
    return "\n".join(out) + "\n"


def _walk_commands(command: Any, name: str, parent: Any = None) -> Iterator[tuple[str, str]]:
    settings = {"terminal_width": 88, "max_content_width": 88, "color": False}
    context = typer.Context(command, info_name=name.split()[-1], parent=parent, **settings)
    yield name, command.get_help(context)
    for inner in getattr(command, "commands", {}).items():
        yield from _walk_commands(inner[1], f"{name} {inner[0]}", context)


def write_settings() -> str:
    """Every setting with its type, its default and what it means, from its docstring."""
    out = [
        "# Settings",
        "",
        "The fields of a job file (`neurons run job.toml`), which the options of the commands are named after:",
        "`top_k` is `--top-k`. `[ingest]` takes those of `IngestStep` and `IngestConfig`, each `[[extract]]`",
        "those of `ExtractConfig`, each `[[attack]]` and `[[stroop]]` also those of `ClassChoice`,",
        "`[[stimuli]]` those of `StimuliConfig`, with a table for each kind, as `[stimuli.words]`; `[labels]`",
        "those of `LabelSettings`, and so does `neurons build --set NAME=VALUE`; `[runner]` those of",
        "`RunnerConfig`. A file with most of them is the demo's: `neurons demo --print-job`.",
    ]
    for name in SHOWN_SETTINGS:
        kind = next(getattr(one, name) for one in _SETTINGS if hasattr(one, name))
        out += ["", f"## {name}", "", inspect.getdoc(kind) or "", ""]
        out += ["| field | what it must be | default | meaning |", "|---|---|---|---|"]
        for field in list_fields(kind):
            value = field.default
            default = f"`{type(value).__name__}()`" if is_dataclass(value) else f"`{value!r}`"
            default = "must be given" if field.is_required else default
            cells = (f"`{field.name}`", field.expected, default, field.text)
            out.append(f"| {' | '.join(map(_cell, cells))} |")
    return "\n".join(out) + "\n"


def write_errors() -> str:
    """The tree of errors, and each class with what it means."""
    doc = (errors.__doc__ or "").strip()
    out = ["# Errors", "", *doc.splitlines()]
    for kind in _walk_errors(errors.NeuronsError):
        text = inspect.getdoc(kind) or ""
        out += ["", f"## {kind.__name__}", "", text.split("\n\nArgs:")[0]]
    return "\n".join(out) + "\n"


def _walk_errors(kind: type[errors.NeuronsError]) -> Iterator[type[errors.NeuronsError]]:
    yield kind
    for inner in kind.__subclasses__():
        yield from _walk_errors(inner)


def write_notebook(notebook: dict[str, Any], pictures: dict[str, bytes]) -> str:
    """A notebook as Markdown: its texts, its code, and what the code printed or drew.

    Args:
        notebook: As in the file.
        pictures: What it drew is put in here, by name.
    """
    out = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            out += [source, ""]
            continue
        out += ["```python", source, "```", ""]
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "image/png" in data:
                name = f"notebook-{len(pictures)}.png"
                pictures[name] = base64.b64decode("".join(data["image/png"]))
                out += [f"![What the cell above draws]({name})", ""]
            elif text := "".join(output.get("text", data.get("text/plain", ""))):
                out += ["```text", text.rstrip("\n"), "```", ""]
    return "\n".join(out)


def _cell(text: str) -> str:
    """A text in a cell of a table: a bar ends the cell, but for one inside code."""
    parts = text.replace("``", "`").split("`")
    return "`".join(part if i % 2 else part.replace("|", "\\|") for i, part in enumerate(parts))
