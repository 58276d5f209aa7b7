"""Multimodal neurons: the test that the paper names after Halle Berry, over every neuron of a run."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.paper.section import Missing, Row, Section, Subject, Table, tell_share
from pipeline.report.report_queries import MULTIMODALITY
from pipeline.report.run_report import Multimodality

THRESHOLDS = (90, 80, 95)
_ORIGINS = {"stimulus": "known by construction", "similarity": "guessed by the model"}


def make_section(subject: Subject) -> Section:
    """By layer, over forms that are known and forms that are guessed."""
    found = subject.ask(MULTIMODALITY, Multimodality)
    whole = [row for row in found if row.category == "all" and row.tested_count]
    id_, title = "multimodal-neurons", "Multimodal neurons"
    figure = "the introduction and its figure: photos, drawings and the written name of one concept"
    if not whole:
        return Section(
            id_,
            title,
            figure,
            missing=Missing(
                "No concept of a neuron has images in two forms.",
                (
                    "neurons stimuli words --dataset words",
                    f"neurons similarity --dataset {subject.run.dataset}",
                    "neurons build",
                ),
            ),
        )
    return Section(
        id_,
        title,
        figure,
        told=(
            "The paper shows single neurons that answer to photos, drawings and the written name alike, and "
            "gives no share. Here every neuron with a concept in two forms or more is tested: the index is the "
            "smallest AUROC over the forms, each against the same form's other images, on images that did not "
            "choose the concept. The controls are concepts drawn at random within each form, and an untrained "
            "model if there is a run of one.",
        ),
        rows=[_row(subject, row, threshold) for row in whole for threshold in THRESHOLDS],
        parts=[
            Table(
                "By category, from an index of 0.9 on",
                ("layer", "forms", "category", "neurons", "tested", "multimodal", "by chance"),
                [
                    (
                        row.layer,
                        _ORIGINS.get(row.facet_origin, row.facet_origin),
                        row.category,
                        row.neuron_count,
                        row.tested_count,
                        row.multimodal_90_count,
                        row.permuted_90_count,
                    )
                    for row in _by_category(found)
                ],
                is_folded=True,
            )
        ],
        sql=(MULTIMODALITY,),
    )


def _by_category(found: Sequence[Multimodality]) -> list[Multimodality]:
    return [row for row in found if row.category != "all"]


def _row(subject: Subject, row: Multimodality, threshold: int) -> Row:
    here = row.by_threshold[threshold]
    control = "" if here.by_chance is None else f"by chance {here.by_chance:.2g}"
    if row.untrained_run_count and here.untrained is not None:
        control += f", untrained {here.untrained:.2g}"
    thin = f", {row.thin_count:,} with fewer than 3 images in a form" if row.thin_count else ""
    return Row(
        f"neurons with an index of {threshold / 100} or more, forms "
        f"{_ORIGINS.get(row.facet_origin, row.facet_origin)}",
        "",
        tell_share(here.found, row.tested_count),
        f"{row.tested_count:,} tested of {row.neuron_count:,}{thin}",
        subject.interval(here.found, row.tested_count),
        control,
    )
