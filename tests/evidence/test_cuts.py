"""Blocks of units begin where row groups of files do, and leave no unit out."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evidence.cuts import cut, units_at_once
from pipeline.evidence.matrix import example_ids, iter_blocks, list_layers
from pipeline.extract.activation_file import UNITS_PER_ROW_GROUP
from pipeline.warehouse.connect import connect

counts = st.integers(0, 40_000)


@given(most=counts, unit_count=counts)
def test_no_row_group_is_in_two_blocks_unless_it_is_larger(most: int, unit_count: int) -> None:
    step = units_at_once(most, unit_count)
    blocks = list(cut(range(unit_count), step))
    assert [unit for block in blocks for unit in block] == list(range(unit_count))
    assert max(map(len, blocks), default=0) <= max(1, most)
    assert len(blocks) <= 1 or 2 * step > most  # not many more blocks than must be
    for block in blocks:
        group = block.start - block.start % UNITS_PER_ROW_GROUP
        assert block.start == group or block.stop <= group + UNITS_PER_ROW_GROUP


def test_blocks_of_a_run_are_powers_of_two_and_the_same_values(tiny_warehouse) -> None:
    with connect(tiny_warehouse) as connection:
        (layer, *_) = list_layers(connection)
        ids = example_ids(connection, layer.dataset, layer.run_id)
        (whole,) = iter_blocks(connection, layer, ids)
        blocks = list(iter_blocks(connection, layer, ids, max_bytes=7 * 4 * len(ids)))
    assert {len(block.activations) for block in blocks[:-1]} == {4}
    assert [block.first_unit for block in blocks] == list(range(0, layer.unit_count, 4))
    assert np.array_equal(np.concatenate([b.activations for b in blocks]), whole.activations)
