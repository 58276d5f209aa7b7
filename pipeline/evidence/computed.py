"""The marts that are computed rather than queried, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import duckdb
import pyarrow as pa

from pipeline.base.progress import ProgressCallback
from pipeline.evidence import ranks, samples
from pipeline.evidence.clarity import (
    compute_contrasting_examples,
    compute_neuron_clarity,
    compute_top_example_groups,
)
from pipeline.evidence.facets import compute_facet_aurocs, compute_facets_of
from pipeline.evidence.label_scores import compute_label_scores
from pipeline.evidence.matrix import RunLayer
from pipeline.evidence.neighbours import compute_neighbours_across, compute_neuron_neighbours
from pipeline.evidence.nulls import compute_label_nulls
from pipeline.evidence.wpmi import compute_soft_wpmi

Compute = Callable[[duckdb.DuckDBPyConnection, ProgressCallback], Iterator[pa.Table]]
"""Rows of one table of ``computed.DERIVED``, in pieces, from a connection with every view below it.

The build's phase of the progress has begun: report with ``advance(0, note)``.
"""

COMPUTED: dict[str, Compute] = {
    "soft_wpmi": compute_soft_wpmi,
    "label_nulls": compute_label_nulls,
    "facet_aurocs": compute_facet_aurocs,
    "neuron_neighbours": compute_neuron_neighbours,
    "top_example_groups": compute_top_example_groups,
    "neuron_clarity": compute_neuron_clarity,
    "contrasting_examples": compute_contrasting_examples,
    "label_scores": compute_label_scores,
}

COMPUTED_OF_TWO: dict[str, Compute] = {"neuron_neighbours": compute_neighbours_across}
"""What is computed of two runs together: the connection has these alone."""

FASTER: dict[str, tuple[pa.Schema, Compute]] = {
    "concept_ranks": (ranks.SCHEMA, ranks.compute_concept_ranks),
    "drawn_examples": (samples.SCHEMA, samples.compute_drawn_examples),
}
"""What SQL answers too, and a build computes: columns and rows of the view, neuron by neuron."""

Keep = Callable[[duckdb.DuckDBPyConnection, ProgressCallback, str], Iterator[pa.Table]]
"""As `Compute`, from SQL of the rows of an earlier build too: those that still hold are kept."""

KEEPING: dict[str, Keep] = {"top_example_groups": compute_top_example_groups}
"""What is computed of those neurons alone of which it can have changed."""

OfUnits = Callable[[duckdb.DuckDBPyConnection, RunLayer, range], Iterator[pa.Table]]
"""Rows of a mart that are of some units of a layer."""

BY_UNITS: dict[str, OfUnits] = {
    "concept_ranks": ranks.compute_ranks_of,
    "facet_aurocs": compute_facets_of,
}
"""Marts that may be computed block by block of units, by many processes: rows are the same to the bit."""
