"""Pictures of images: contact sheets that wrap, tables whose cells tell right from wrong."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageColor

from pipeline.report.contact_sheet import (
    COLUMNS,
    MARGIN_PX,
    THUMBNAIL_PX,
    SheetImage,
    draw_sheet,
)
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
from pipeline.report.peaks import InImage

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
    sheet = draw_sheet(
        ("title", "label"), [SheetImage(make_file(blue, (THUMBNAIL_PX,) * 2), "1")] * images
    )
    assert sheet.width == width
    assert count(sheet, blue) == images * THUMBNAIL_PX**2
    row_px = (
        draw_sheet((), [SheetImage(make_file(blue), "")] * (COLUMNS + 1)).height
        - draw_sheet((), []).height
    )
    assert sheet.height == one.height + (rows - 1) * row_px


def test_a_ring_lies_where_the_peak_is_in_the_image_not_in_its_square():
    wide = make_file("#0000fe", (2 * THUMBNAIL_PX, THUMBNAIL_PX))  # paper above and below
    plain, ringed = (
        np.asarray(draw_sheet((), [SheetImage(wide, "1", peak)]), int)
        for peak in (None, InImage(0.75, 1.0))
    )
    rows, columns = np.nonzero((plain != ringed).any(2))
    blue = np.nonzero((plain == (0, 0, 254)).all(2))
    assert blue[1].min() + 0.75 * THUMBNAIL_PX == pytest.approx(columns.mean(), abs=1)
    assert blue[0].max() == pytest.approx(rows.mean(), abs=1)


def test_long_titles_and_captions_stay_inside():
    with_long = draw_sheet(("W" * 500,), [SheetImage(make_file("#0000fe"), "W" * 500)])
    assert with_long.width == 640


@pytest.mark.slow
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
