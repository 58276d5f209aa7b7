"""Which images are copies of an earlier one though their files differ, for any number of images.

Images that share one of ten 24-bit keys of their hash are candidates (DuckDB, a key at a time, spilling to
disk); a candidate pair whose hashes agree in 200 of 240 bits is decided by its thumbnails. Then
every image, in order, becomes a copy of the first image before it that is like it and is no copy
itself. So a group is known by its first image, every member is like that one, and nothing that
comes later changes it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.sources.copies.fingerprint import HASH_COLUMNS, KEY_BITS, KEY_COUNT
from pipeline.sources.copies.likeness import KINDS, compare
from pipeline.warehouse.duck import open_cursor

MAX_BITS_APART = 40
"""Bits of the 240 in which the hashes of a pair may differ."""
BUCKET_LEADERS = 32
"""Of the images that share a key, later ones are compared with so many first ones: a bucket of thousands
is of pictures that are all alike, or blank."""
PAIRS_AT_ONCE = 4096

_PAIR = pa.schema([("later", pa.int64()), ("earlier", pa.int64()), ("kind", pa.int8())])

# nodes: example_id, hash_1 .. hash_5, is_fresh, may_lead. Settled images go before fresh ones.
_CANDIDATES = """
insert into candidates
with keyed as (
    select *, ({hash} >> {shift}) & {mask} as key from nodes
),
placed as (
    select *, row_number() over (partition by key order by is_fresh, example_id) as place
    from keyed
    qualify count(*) over (partition by key) > 1
)
select later.example_id, earlier.example_id
from placed as later
inner join placed as earlier using (key)
where
    later.is_fresh and later.may_follow
    and earlier.may_lead and earlier.place <= {leaders} and earlier.place < later.place
    and {apart} <= {most}
"""


def find_near(con: Any) -> None:
    """Fill the table ``near`` (example_id, duplicate_of, copy_kind) from the tables of the connection.

    Args:
        con: A DuckDB connection with ``fingerprints`` (as in the schema) and ``nodes``: example_id,
            is_fresh (not decided yet), may_follow (it may become a copy), may_lead (it is no copy).
    """
    con.execute("create table candidates (later bigint, earlier bigint)")
    apart = " + ".join(f"bit_count(xor(later.{h}, earlier.{h}))::integer" for h in HASH_COLUMNS)
    for key in range(KEY_COUNT):
        con.execute(
            _CANDIDATES.format(
                hash=HASH_COLUMNS[key // 2],
                shift=KEY_BITS * (key % 2),
                mask=(1 << KEY_BITS) - 1,
                leaders=BUCKET_LEADERS,
                apart=apart,
                most=MAX_BITS_APART,
            )
        )
    con.execute("create table alike (later bigint, earlier bigint, kind tinyint)")
    pairs = con.sql(
        """
        select
            later, earlier, a.thumb as a_thumb, b.thumb as b_thumb,
            a.width_px as a_width, a.height_px as a_height,
            b.width_px as b_width, b.height_px as b_height,
        from (select distinct later, earlier from candidates)
        inner join fingerprints as a on later = a.example_id
        inner join fingerprints as b on earlier = b.example_id
        """
    )
    writer = open_cursor(con)
    for batch in pairs.to_arrow_reader(PAIRS_AT_ONCE):
        found = _decide(batch)
        if found.num_rows:
            writer.register("some_pairs", found)
            writer.execute("insert into alike from some_pairs")
            writer.unregister("some_pairs")
    con.execute("create table near (example_id bigint, duplicate_of bigint, copy_kind varchar)")
    _assign(con)


def _decide(batch: pa.RecordBatch) -> pa.Table:
    """The pairs of a batch that are of one picture, with the place of their kind in ``KINDS``."""
    columns = {name: batch.column(name) for name in batch.schema.names}
    thumbs = [b"".join(columns[f"{side}_thumb"].to_pylist()) for side in "ab"]
    sizes = [
        np.stack([columns[f"{side}_{what}"].to_numpy(False) for what in ("width", "height")], 1)
        for side in "ab"
    ]
    kinds = compare(thumbs[0], thumbs[1], sizes[0].astype(np.int64), sizes[1].astype(np.int64))
    keep = np.flatnonzero(kinds)
    arrays = [columns[name].to_numpy(False)[keep] for name in ("later", "earlier")]
    return pa.Table.from_arrays(
        [pa.array(arrays[0]), pa.array(arrays[1]), pa.array(kinds[keep].astype(np.int8))],
        schema=_PAIR,
    )


def _assign(con: Any) -> None:
    """Each later image to the first of those it is like that is no copy: settled ones go first."""
    pairs = open_cursor(con).sql(
        """
        select later, earlier, kind from alike
        inner join nodes on earlier = nodes.example_id
        order by later, nodes.is_fresh, earlier
        """
    )
    copies = array("q")  # ascending: pairs come in order of the later image
    for batch in pairs.to_arrow_reader(1 << 16):
        rows = []
        for later, earlier, kind in zip(*(c.to_pylist() for c in batch.columns), strict=True):
            if (copies and copies[-1] == later) or _is_in(copies, earlier):
                continue
            copies.append(later)
            rows.append((later, earlier, KINDS[kind]))
        if rows:
            names = ("example_id", "duplicate_of", "copy_kind")
            found = pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
            con.register("some_rows", found)
            con.execute("insert into near from some_rows")
            con.unregister("some_rows")


def _is_in(ascending: array[int], value: int) -> bool:
    place = bisect_left(ascending, value)
    return place < len(ascending) and ascending[place] == value
