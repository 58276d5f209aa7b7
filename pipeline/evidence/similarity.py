"""Which concepts the model is asked about, and the asking: ``neurons similarity``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from pipeline.base.progress import ProgressCallback
from pipeline.base.settings import ClassifyConfig, ExtractConfig, SimilarityConfig
from pipeline.base.storage import Store
from pipeline.concepts.facets import FACET_TEMPLATES
from pipeline.tables.datasets import read_dataset
from pipeline.warehouse.connect import connect
from pipeline.warehouse.left_out import list_left_out, refuse_left_out

if TYPE_CHECKING:
    from pipeline.evidence.concept_scores import SimilaritySummary


def choose_concepts(connection: duckdb.DuckDBPyConnection, dataset: str) -> list[str]:
    """Every concept of the lexicon, and what enough images of a dataset show besides (people).

    Each name once, sorted: one word may stand in several categories.
    """
    rows = connection.execute(
        """
        with

        found as (
            select concept, example_id from stg_stimuli
            where dataset = $dataset and concept is not null
            union
            select concept, example_id from example_concepts
            where dataset = $dataset
        )

        select concept from lexicon where rule is null
        union
        select concept from found
        cross join settings
        group by concept
        having count(*) >= 2 * any_value(concept_min_count)
        order by concept
        """,
        {"dataset": dataset},
    ).fetchall()
    return [name for (name,) in rows]


def similarity_config(config: ExtractConfig, run_id: str) -> SimilarityConfig:
    """The reading that follows an extraction, by the same model on the same device."""
    return SimilarityConfig(
        config.warehouse, config.dataset, run_id, config.model, device=config.device
    )


def score_similarity(
    config: SimilarityConfig, progress: ProgressCallback | None = None
) -> SimilaritySummary:
    """Score the images of a run against all concepts, and against the facets, the forms of images.

    What is done already is not done again.

    Raises:
        NeuronsError: As ``extract.similarity.score_concepts`` and ``extract.classify.classify``.
    """
    from pipeline.evidence.classify import classify
    from pipeline.evidence.concept_scores import score_concepts

    read_dataset(Store(config.warehouse), config.dataset)  # says which there are
    with connect(config.warehouse) as connection:
        refuse_left_out(list_left_out(connection), config.dataset, config.run)
        concepts = choose_concepts(connection, config.dataset)
        facets = connection.execute(
            "select class_set, prompt from facet_prompts order by rowid"
        ).fetchall()
    done = score_concepts(config, concepts, progress)
    classify(
        ClassifyConfig(
            config.warehouse,
            config.dataset,
            config.run,
            done.model,
            tuple(prompt for _, prompt in facets),
            FACET_TEMPLATES,
            facets[0][0],
            config.device,
        ),
        progress,
    )
    return done
