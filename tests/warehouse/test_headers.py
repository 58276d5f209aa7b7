"""Headers of SQL files: what they say of columns, and how those are described that they only name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.warehouse.headers import ViewColumn, describe, parse_view
from pipeline.warehouse.views import load_views

HEADER = """\
-- view:    strongest
-- grain:   one row per neuron
-- key:     layer, unit
-- reads:   {reads}
-- purpose: A view that
--          is told on two lines.
--
-- column      type     unit        meaning
{table}
select 1;
"""


@pytest.fixture
def parse(tmp_path):
    def parsed(table, reads="raw_activations, top_examples"):
        lines = "\n".join(f"-- {line}" for line in table.splitlines())
        path = tmp_path / "strongest.sql"
        path.write_text(HEADER.format(reads=reads, table=lines), encoding="utf-8")
        return parse_view(path)

    return parsed


def columns_of(view):
    views = {view.name: view for view in load_views()}
    return describe(view, views).columns


def test_a_column_is_stated_with_its_type_unit_and_meaning_on_one_line_or_more(parse):
    view = parse("lift        double   ratio       how much\n                                 more")
    assert view.columns == (ViewColumn("lift", "double", "ratio", "how much more"),)
    assert view.purpose == "A view that is told on two lines."


def test_a_column_named_alone_is_what_it_is_in_the_first_relation_that_has_it(parse):
    view = parse(
        "layer, unit,\nexample_rank\nlift        double   ratio       how much\nactivation"
    )
    layer, unit, rank, lift, activation = columns_of(view)
    assert layer == ViewColumn("layer", "varchar", "", "module path, point and pooling")
    assert unit.type == "usmallint", "of raw_activations, which is read first"
    assert rank.meaning == "1 = most extreme; ties by example_id"
    assert (lift.meaning, activation.unit) == ("how much", "model units")
    other = replace(view, reads=("top_examples", "raw_activations"))
    assert columns_of(other)[1].type == "integer"


def test_a_column_that_nothing_has_is_an_error_that_names_file_and_column(parse):
    with pytest.raises(ValueError, match=r"strongest\.sql: column nothing has no type"):
        columns_of(parse("layer, nothing"))
    with pytest.raises(ValueError, match="column label_top_k has no type"):
        columns_of(parse("label_top_k", reads="settings"))


@pytest.mark.parametrize(
    "row",
    [
        "a_much_too_long_name double ratio  how much",
        "lift        double   ratio    how much",
        "lift        double   ratio      how much\n                               more",
    ],
)
def test_a_row_that_is_out_of_line_is_an_error_since_letters_would_be_lost(parse, row):
    with pytest.raises(ValueError, match=r"strongest\.sql: this row is out of line"):
        parse(row)


def test_no_header_says_again_what_the_view_has_from_what_it_reads():
    views = {view.name: view for view in load_views()}
    for view in views.values():
        for column in parse_view(view.path).columns:
            if column.type:
                named = replace(view, columns=(ViewColumn(column.name),))
                try:
                    (found,) = describe(named, views).columns
                except ValueError:
                    continue
                assert found != column, f"{view.path.name}: name {column.name} alone"
