"""The bytes of any image of a dataset, with proof that it is the same image; and the text that goes with it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pipeline.base.errors import WarehouseError
from pipeline.base.places import open_place
from pipeline.base.storage import Store
from pipeline.tables.datasets import full_url

if TYPE_CHECKING:
    import duckdb

IMAGE_COLUMNS = "shards.url, examples.image_offset, examples.image_bytes, examples.image_sha256"
"""What a query selects for `read_image`, from the views ``shards`` and ``examples``."""


def read_image(store: Store, url: str, offset: int, size: int, sha256: str) -> bytes:
    """The file of one image, as it was indexed.

    Args:
        store: The warehouse; ``url`` may be relative to it.
        url: ``shards.url`` of the image's shard.
        offset: ``examples.image_offset``, bytes.
        size: ``examples.image_bytes``, bytes.
        sha256: ``examples.image_sha256``.

    Raises:
        WarehouseError: The tar is gone, or there are other bytes in it now.
    """
    fs, path = open_place(full_url(store, url))
    try:
        data = bytes(fs.cat_file(path, start=offset, end=offset + size))
    except Exception as error:  # object stores have errors of their own
        raise WarehouseError(
            f"The shard {url} cannot be read: {error}.",
            "Images are never copied: pictures need the tars where they were when ingested. If they lie "
            "elsewhere now: neurons move-shards OLD NEW",
        ) from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise WarehouseError(
            f"The shard {url} has changed since it was indexed: at byte {offset:,} lies another "
            "image, or none.",
            "Put the same tar back, or ingest the changed data under another --dataset name: "
            "numbers and labels here are of the images that were indexed.",
        )
    return data


def read_primary_texts(
    connection: duckdb.DuckDBPyConnection, dataset: str, ids: Iterable[int]
) -> dict[int, str]:
    """The primary text of each of these examples that has one (view ``primary_texts``).

    Asked for by their ids, which DuckDB looks for before it sorts texts; through a join it sorts all.

    Args:
        connection: Of ``pipeline.connect``.
        dataset: Its name.
        ids: Which examples.
    """
    rows = connection.execute(
        """
        select example_id, text from primary_texts
        where dataset = $dataset and list_contains($ids::bigint[], example_id)
        """,
        {"dataset": dataset, "ids": list(ids)},
    ).fetchall()
    return dict(rows)
