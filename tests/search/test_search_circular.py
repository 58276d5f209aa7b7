"""Layers of a text tower, which read the texts that tell concepts, are left out of searches by them."""

from __future__ import annotations

import pytest
from textures import POST

from pipeline.base.errors import WarehouseError
from pipeline.base.question_settings import Search, SumQuestion
from pipeline.report.summary import render_summary, summarise
from pipeline.search.find import find_neurons
from pipeline.search.sum import find_neuron_sum
from pipeline.warehouse.connect import connect


def test_finding_by_concepts_leaves_them_out_and_says_so(tiny_warehouse):
    (found,) = find_neurons(
        Search(text="dog", warehouse=str(tiny_warehouse), by=("concepts",), k=50)
    )
    assert found.rows
    assert all(layer.startswith("visual.") for _, layer, *_ in found.rows)
    (note,) = [note for note in found.notes if "Left out" in note]
    assert f"{POST} of the text tower" in note


def test_a_run_says_how_many_are_circular_and_counts_none_of_them(tiny_warehouse):
    with connect(tiny_warehouse) as con:
        (run_id, labelled, circular), *_ = con.execute(
            "select run_id, labelled_count, circular_count from run_summary"
        ).fetchall()
        counted = con.execute(
            "select count(*) filter (where is_labelled), count(*) filter (where is_circular), "
            "count(*) filter (where is_circular and layer not like 'transformer%'), "
            "count(*) filter (where is_circular and reason <> 'circular') from neuron_labels"
        ).fetchall()
    assert counted == [(labelled, circular, 0, 0)]
    assert circular > 0
    told = render_summary(summarise(str(tiny_warehouse), "textures", run_id, []), "")
    assert f"{circular} more are circular" in told


def test_a_sum_of_its_neurons_is_refused(tiny_warehouse):
    question = SumQuestion(warehouse=str(tiny_warehouse), concept="dog", layer=POST)
    with pytest.raises(WarehouseError, match="read the very texts that tell the concept"):
        find_neuron_sum(question)
