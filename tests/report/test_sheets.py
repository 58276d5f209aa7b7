"""Pictures of images: contact sheets that wrap, tables whose cells tell right from wrong."""

from __future__ import annotations

import io

import pytest
from PIL import Image, ImageColor

from pipeline.report.contact_sheet import COLUMNS, MARGIN_PX, THUMBNAIL_PX, draw_sheet
from pipeline.report.grid import (
    BAND,
    HEAD_PX,
    IMAGE_PX,
    PAD_PX,
    RIGHT,
    WRONG,
    GridCell,
    GridRow,
    draw_grid,
)

WIDE = COLUMNS * (THUMBNAIL_PX + MARGIN_PX) + MARGIN_PX


def make_file(colour: str, size=(40, 40)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def count(image: Image.Image, colour: str) -> int:
    wanted = ImageColor.getrgb(colour)
    return sum(n for n, found in image.getcolors(1 << 24) if found == wanted)


@pytest.mark.parametrize(
    ("images", "rows", "width"),
    [(0, 1, 640), (3, 1, 640), (10, 1, WIDE), (20, 2, WIDE), (21, 3, WIDE)],
)
def test_a_contact_sheet_wraps_and_shows_every_image(images, rows, width):
    blue = "#0000fe"
    one = draw_sheet(("title", "label"), [])
    sheet = draw_sheet(("title", "label"), [(make_file(blue, (THUMBNAIL_PX,) * 2), "1")] * images)
    assert sheet.width == width
    assert count(sheet, blue) == images * THUMBNAIL_PX**2
    row_px = (
        draw_sheet((), [(make_file(blue), "")] * (COLUMNS + 1)).height - draw_sheet((), []).height
    )
    assert sheet.height == one.height + (rows - 1) * row_px


def test_long_titles_and_captions_stay_inside():
    with_long = draw_sheet(("W" * 500,), [(make_file("#0000fe"), "W" * 500)])
    assert with_long.width == 640


def test_a_grid_has_fixed_columns_and_tells_right_from_wrong():
    cells = (
        GridCell(make_file("#0000fe"), "guitar", True),
        GridCell(make_file("#0000fe"), "church", False),
        None,
        GridCell(make_file("#0000fe"), "no opinion", boxes=((0.0, 0.5, 1.0, 0.75),)),
    )
    grid = draw_grid(
        "title", ("note",), ("a", "b", "c", "d"), [GridRow(("head", "more"), cells)] * 2
    )
    step = IMAGE_PX + 2 * PAD_PX + MARGIN_PX
    assert grid.width == HEAD_PX + 4 * step + MARGIN_PX
    column = [
        grid.crop((HEAD_PX + n * step, 60, HEAD_PX + (n + 1) * step, grid.height)) for n in range(4)
    ]
    assert [count(one, RIGHT) > 100 for one in column] == [True, False, False, False]
    assert [count(one, WRONG) > 100 for one in column] == [False, True, False, False]
    assert [count(one, BAND) > IMAGE_PX**2 for one in column] == [False, False, True, False]
    assert [count(one, "#8a8f94") for one in column][:3] == [0, 0, 0]
    assert count(column[3], "#8a8f94") > 2 * IMAGE_PX
