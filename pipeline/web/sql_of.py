"""The SQL behind each panel of a neuron, short enough to read and change: `neurons sql` answers it too."""

from __future__ import annotations

from pipeline.warehouse.find import Neuron

_THIS = """where
    dataset = '{dataset}' and run_id = '{run_id}'
    and layer = '{layer}' and unit = {unit}"""

PANELS: dict[str, str] = {
    "top": f"select example_rank, activation_sd, example_id\nfrom top_examples\n{_THIS}\n"
    "    and polarity = 'positive'\norder by example_rank",
    "bottom": f"select example_rank, activation_sd, example_id\nfrom top_examples\n{_THIS}\n"
    "    and polarity = 'negative'\norder by example_rank",
    "drawn": f"select\n    facet, parametrisation, activation_sd, dataset_max_sd, facet_probability, url\n"
    f"from visualisations\n{_THIS}\norder by facet, parametrisation, number",
    "evidence": f"select *\nfrom neuron_labels\n{_THIS}",
    "support": f"select *\nfrom label_evidence\n{_THIS}",
    "histogram": f"select bin_left, bin_right, example_count\nfrom neuron_histograms\n{_THIS}\norder by bin",
    "facets": f"select\n    concept, dimension, stratum, positive_count, auroc, p_value, is_failed\n"
    f"from neuron_facets\n{_THIS}\n    and candidate_rank = 1\norder by dimension, auroc",
    "probability": f"select\n    origin, category, concept, sd_bin, sample_count, hit_count, probability\n"
    f"from conditional_probabilities\n{_THIS}\norder by origin, category, concept, sd_bin",
    "groups": f"select *\nfrom neuron_groups\n{_THIS}\norder by group_rank",
    "contrasting": f"select contrast_rank, example_id, activation\nfrom contrasting_examples\n{_THIS}\n"
    "order by contrast_rank",
    "neighbours": f"select\n    other_run_id, other_layer, other_unit, neighbour_rank, correlation\n"
    f"from neuron_neighbours\n{_THIS}\norder by other_run_id, other_layer, neighbour_rank",
    "statistics": f"select *\nfrom neuron_stats\n{_THIS}",
}
"""By the name of the panel."""


def fill(query: str, neuron: Neuron) -> str:
    """A query about one neuron.

    Args:
        query: Of `PANELS`.
        neuron: Which.
    """
    quoted = {name: str(value).replace("'", "''") for name, value in neuron.parameters.items()}
    return query.format(**quoted)
