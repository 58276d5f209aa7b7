"""What a person fills: the page of a sheet, and the CSV of its answers, still empty."""

from __future__ import annotations

import base64
import csv
import html
from collections.abc import Sequence
from pathlib import Path

from pipeline.base.csv_cells import guard_row
from pipeline.base.display import show
from pipeline.base.page_policy import page_policy
from pipeline.labelling.files import SHEET_COLUMNS


def render_sheet(
    sheet: str, task: str, command: str, items: Sequence[tuple[str, bytes]], used: Sequence[str]
) -> str:
    """The page: every image with a field for what it shows. It needs no network and saves the filled CSV.

    Args:
        sheet: Its id.
        task: What a person is asked to do.
        command: What reads the answers.
        items: File in the sheet's folder, and JPEG, of each image in its order.
        used: Words to offer.
    """
    page = Path(__file__).with_name("sheet.html").read_text(encoding="utf-8")
    figures = "\n".join(_figure(number, *item) for number, item in enumerate(items, 1))
    offered = "".join(f'<option value="{html.escape(show(word), quote=True)}">' for word in used)
    page = page.replace("@@POLICY@@", page_policy(page)).replace("@@SHEET@@", sheet)
    page = page.replace("@@TASK@@", html.escape(task, quote=False))
    page = page.replace("@@COMMAND@@", html.escape(command, quote=False))
    # Words of users last: nothing is looked for in them.
    return page.replace("@@FIGURES@@", figures).replace("@@USED@@", offered)


def write_labels_file(path: Path, sheet: str, images: Sequence[str]) -> None:
    """The CSV of a sheet with a line for each image, without answers.

    Args:
        path: Where to.
        sheet: Its id.
        images: File of each image, in its order.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(SHEET_COLUMNS)
        writer.writerows(guard_row((sheet, n, image, "", "")) for n, image in enumerate(images, 1))


def _figure(number: int, image: str, thumbnail: bytes) -> str:
    source = base64.b64encode(thumbnail).decode()
    name = html.escape(image, quote=True)
    return (
        f'<figure data-item="{number}" data-image="{name}">'
        f'<a href="{name}" target="_blank"><img alt="image {number}" '
        f'src="data:image/jpeg;base64,{source}"></a>'
        f'<label>{number} shows <input name="label" list="used" autocomplete="off"></label>'
        '<button type="button" class="none">none</button>'
        '<label>note <input name="note" autocomplete="off"></label></figure>'
    )
