"""The summary of a run: a small JSON and a page in the warehouse's folder ``summaries``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from pipeline.base.display import quote_markdown
from pipeline.base.storage import Store
from pipeline.report.asking import Asker
from pipeline.tables.datasets import dataset_folder, run_folder
from pipeline.tables.runs import run_path
from pipeline.upkeep.check_views import CheckResult
from pipeline.warehouse.connect import connect
from pipeline.warehouse.left_out import list_left_out, refuse_left_out

TOP_LABELS = 20
"""Concepts that the summary lists."""


@dataclass(frozen=True)
class LayerCount:
    """A layer and its labels."""

    layer: str
    unit_count: int
    labelled_count: int


@dataclass(frozen=True)
class LabelCount:
    """A concept and the neurons that it labels."""

    concept: str
    category: str
    neuron_count: int


@dataclass(frozen=True)
class SupportCount:
    """Labels, and how many of the scores that were measured support each."""

    supported_count: int
    measured_count: int
    label_count: int


@dataclass(frozen=True)
class RejectCount:
    """Why examples were rejected, where, and how many."""

    stage: str
    reason: str
    reject_count: int


@dataclass(frozen=True)
class Summary:
    """What ``summaries/DATASET-RUN.json`` says, field by field: columns of ``runs`` and ``run_summary``."""

    dataset: str
    run_id: str
    model_id: str
    is_random: bool
    layers: list[str]
    preprocess: str
    precision: str
    shard_count: int
    failed_shard_count: int
    pending_shard_count: int
    read_count: int
    written_count: int
    rejected_count: int
    duplicate_count: int
    read_s: float
    decode_s: float
    write_s: float
    file_bytes: int
    image_count: int
    text_image_count: int
    concept_image_count: int
    texts_image_count: int
    stimulus_image_count: int
    similarity_image_count: int
    language_count: int
    lost_format_count: int
    neuron_count: int
    labelled_count: int
    circular_count: int
    permuted_count: float | None
    tested_count: int
    multimodal_90_count: int
    permuted_90_count: float | None
    units: list[LayerCount] = field(default_factory=list)
    top_labels: list[LabelCount] = field(default_factory=list)
    support: list[SupportCount] = field(default_factory=list)
    """Most supported first."""
    rejects: list[RejectCount] = field(default_factory=list)
    checks: dict[str, int] = field(default_factory=dict)
    """Violations of each check that has any."""


_RUN = """
select
    dataset, run_id, runs.model_id, runs.is_random, layers, preprocess, precision,
    runs.shard_count, failed_shard_count, pending_shard_count,
    read_count, written_count, runs.rejected_count, duplicate_count,
    read_s, decode_s, write_s, file_bytes,
    image_count, text_image_count, concept_image_count, texts_image_count, stimulus_image_count,
    similarity_image_count, language_count, lost_format_count,
    neuron_count, labelled_count, circular_count, permuted_count,
    tested_count, multimodal_90_count, permuted_90_count,
from runs
inner join run_summary using (dataset, run_id)
where dataset = $dataset and run_id = $run_id
"""

_LAYERS = """
select layer, count(*) as unit_count, count(*) filter (where is_labelled) as labelled_count
from neuron_labels
where dataset = $dataset and run_id = $run_id
group by layer
order by layer
"""

_LABELS = """
select concept, category, count(*) as neuron_count
from neuron_labels
where dataset = $dataset and run_id = $run_id and is_labelled
group by concept, category
order by neuron_count desc, concept, category
limit $top_labels
"""

_SUPPORT = """
select supported_count, measured_count, count(*) as label_count
from neuron_labels
where dataset = $dataset and run_id = $run_id and is_labelled
group by all
order by supported_count desc, measured_count desc
"""

_REJECTS = """
select stage, reason, count(*) as reject_count
from rejects
where dataset = $dataset and (run_id = $run_id or run_id is null)
group by stage, reason
order by reject_count desc, stage, reason
"""


def summarise(warehouse: str, dataset: str, run_id: str, checks: Sequence[CheckResult]) -> Summary:
    """Facts about a run; the same data give the same summary."""
    with connect(warehouse) as connection:
        refuse_left_out(list_left_out(connection), dataset, run_id)
        ask = Asker(connection, {"dataset": dataset, "run_id": run_id})
        (summary,) = ask(_RUN, Summary)
        return replace(
            summary,
            units=ask(_LAYERS, LayerCount),
            top_labels=ask(_LABELS, LabelCount, top_labels=TOP_LABELS),
            support=ask(_SUPPORT, SupportCount),
            rejects=ask(_REJECTS, RejectCount),
            checks={one.name: one.violation_count for one in checks if one.violation_count},
        )


def write_summary(store: Store, summary: Summary) -> str:
    """Write both files, if they would change. Returns the page's path in the warehouse."""
    name = f"summaries/{summary.dataset}-{summary.run_id}"
    page = render_summary(summary, root="..")
    value = asdict(summary)
    if not store.exists(f"{name}.json") or store.read_json(f"{name}.json") != value:
        store.write_with(f"{name}.md", lambda path: Path(path).write_text(page, encoding="utf-8"))
        store.write_json(f"{name}.json", value)
    return f"{name}.md"


def render_summary(summary: Summary, root: str) -> str:
    """The summary as Markdown.

    Args:
        summary: As from :func:`summarise`.
        root: What links to the warehouse's files begin with: a URL, or ``..`` from where it lies.
    """
    dataset, run_id = summary.dataset, summary.run_id
    folder = run_folder(dataset, run_id)
    links = {
        "dataset": dataset_folder(dataset),
        "run": folder,
        "run.json": run_path(folder),
        "manifests": f"{folder}/manifests",
        "marts": "marts",
        "views.sql": "views.sql",
    }
    noise = " with seeded **random** weights" if summary.is_random else ""
    lines = [
        f"# {dataset}, run {run_id}",
        "",
        f"Model {quote_markdown(summary.model_id)}{noise}, {summary.preprocess} preprocessing, "
        f"{summary.precision}.",
        "",
        f"- Shards: {summary.shard_count} done, {summary.failed_shard_count} failed, "
        f"{summary.pending_shard_count} pending",
        f"- Images: {summary.read_count} read, {summary.written_count} written, "
        f"{summary.rejected_count} rejected, {summary.duplicate_count} duplicates",
        f"- Coverage: of {summary.image_count} distinct images {summary.text_image_count} have "
        f"a text, {summary.concept_image_count} show a concept (by texts "
        f"{summary.texts_image_count}, by construction {summary.stimulus_image_count}, by the "
        f"model's own similarity {summary.similarity_image_count}); "
        f"{summary.language_count} languages; {summary.lost_format_count} images of forms that "
        f"cannot be read",
        f"- Labels: {summary.labelled_count} of {summary.neuron_count} neurons"
        + (
            f"; with permuted concepts {summary.permuted_count:.1f}"
            if summary.permuted_count is not None
            else ""
        )
        + (
            f"; {summary.circular_count} more are circular (a text tower read what tells them)"
            if summary.circular_count
            else ""
        ),
        f"- Labels that no independent score supports: {_count_unsupported(summary.support)}",
        f"- Multimodal at 0.9: {summary.multimodal_90_count} of {summary.tested_count} tested"
        + (
            f"; by chance {summary.permuted_90_count:.1f}"
            if summary.permuted_90_count is not None
            else ""
        ),
        f"- Seconds, summed over threads: read {summary.read_s:.1f}, "
        f"decode {summary.decode_s:.1f}, write {summary.write_s:.1f}",
        f"- Files: {summary.file_bytes / 1e6:.1f} MB",
        f"- Checks: {_join(summary.checks) or 'no violations'}",
        "",
        "Links: " + ", ".join(f"[{name}]({root}/{path})" for name, path in links.items()),
        "",
        *_table("Neurons", summary.units, "layer", "unit_count", "labelled_count"),
        *_table("Labels", summary.top_labels, "concept", "category", "neuron_count"),
        *_table("Support", summary.support, "supported_count", "measured_count", "label_count"),
        *_table("Rejects", summary.rejects, "stage", "reason", "reject_count"),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _count_unsupported(support: Sequence[SupportCount]) -> str:
    count = sum(s.label_count for s in support if not s.supported_count and s.measured_count)
    return f"{count} of {sum(s.label_count for s in support)}"


def _join(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _table(
    title: str, rows: Sequence[LayerCount | LabelCount | SupportCount | RejectCount], *columns: str
) -> list[str]:
    if not rows:
        return [f"## {title}", "", "None.", ""]
    head = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    cells = [" | ".join(quote_markdown(getattr(row, name)) for name in columns) for row in rows]
    return [f"## {title}", "", *head, *(f"| {line} |" for line in cells), ""]


def link_root(store: Store) -> str:
    """What links from elsewhere to the warehouse's files begin with."""
    return Path(store.path("")).as_uri() if store.is_local else store.uri("").rstrip("/")
