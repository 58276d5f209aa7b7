"""Names of a site's files, and what becomes of addresses when a page is written."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.web.neuron_filter import Filter
from pipeline.web.site.links import finish, name_file, name_list
from pipeline.web.site.search_index import _encode, _ranges
from pipeline.web.site.sheets import COLUMNS, Sheet, Shown

parts = st.text(min_size=1, max_size=30)


@given(parts)
def test_a_part_of_an_address_is_a_plain_file_name(part):
    name = name_file(part)
    assert re.fullmatch(r"[A-Za-z0-9._~-]+", name) and name.strip(".")
    assert not name.startswith("..") and not name.endswith(".")


@given(parts, parts)
def test_two_parts_have_two_names_wherever_case_does_not_count(one, other):
    if one.replace(":", "~") != other.replace(":", "~"):
        assert name_file(one).lower() != name_file(other).lower()


@pytest.mark.parametrize(
    "layer", ["visual.layer4.0.act3:input:max", "transformer.resblocks.1.mlp.gelu:cls"]
)
def test_a_layer_can_be_read_from_its_folder(layer):
    assert name_file(layer) == layer.replace(":", "~")


def test_lists_have_files_and_filters_have_none():
    names = [
        name_list(Filter(sort=sort, view=view).query(page=page))
        for sort in ("convincing", "unit") for view in ("grid", "table") for page in (1, 2, 12)
    ]  # fmt: skip
    assert "index.html" in names and "" not in names
    assert len(set(names)) == len(names)
    for other in (
        Filter(sort="score"),
        Filter(category="region"),
        Filter(q="x"),
        Filter(sort="unit", order="desc"),
    ):
        assert name_list(other.query()) == ""


@given(st.lists(st.integers(1, COLUMNS), min_size=1, max_size=40))
def test_cells_lie_beside_each_other_and_never_on_each_other(widths):
    sheet, taken = Sheet(10), set()
    for number, width in enumerate(widths):
        images = tuple(Shown("d", 100 * number + i) for i in range(width))
        column, row = sheet.place(images)
        assert column + width <= COLUMNS
        cells = {(column + i, row) for i in range(width)}
        assert not cells & taken
        taken |= cells
        assert sheet.place(images) == (column, row)


def test_a_finished_page_leads_nowhere_it_cannot():
    text = '<p title="hx-get=&#34;x&#34;">'
    page = f'<a class="x" href="">a</a> <a href="b.html" hx-get="/b" hx-target="#n">b</a> {text}'
    assert finish(page) == f'<a class="x">a</a> <a href="b.html">b</a> {text}'


def test_an_image_is_a_cell_of_its_sheet_with_its_words():
    page = finish(
        '<img src="3-72.webp#cell=2,1,1,15" alt="a &gt; b" width="72" height="72" loading="lazy">!'
    )
    assert page == (
        '<span class="cell"><img src="3-72.webp" alt="a &gt; b" loading="lazy" '
        'style="width:1500%;left:-200%;top:-100%"></span>!'
    )
    without = finish('<img src="#cell=0,0,3,15" alt="a cat" width="72">')
    assert (
        without
        == '<span class="cell" style="aspect-ratio:3"><span role="img" aria-label="a cat"></span></span>'
    )


@given(st.sets(st.integers(0, 200)))
def test_ranges_hold_all_units(units):
    ranges = _ranges(sorted(units))
    assert {unit for first, last in ranges for unit in range(first, last + 1)} == units


def test_a_script_that_says_texts_holds_none_that_ends_it():
    assert _encode(["</script><!--", "\u2028"]) == r'["\u003c/script>\u003c!--","\u2028"]'
