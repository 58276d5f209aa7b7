"""Finding the downloaded image of each URL of WIT."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from pipeline.errors import DamagedShardError, SourceError
from pipeline.folders import list_folder
from pipeline.names import find_hidden, is_image_name, split_ending
from pipeline.places import open_place, spell_place
from pipeline.progress import ProgressCallback
from pipeline.shard_lists import expand_shards
from pipeline.shards import open_shard, read_samples
from pipeline.sources.notices import Notices
from pipeline.sources.texts import parse_record, read_url

_BATCH_ROWS = 10_000

# Names before hashes would let one file serve two URLs that end alike; a hash names its URL alone.
_MATCH_FILES = r"""
create or replace table images as
with

urls as (
    select
        image_url,
        regexp_extract(image_url, '([^/?#]*)([?#].*)?$', 1) as file_name,
    from tsv_rows
    group by image_url
),

by_hash as (
    select urls.image_url, files.path
    from urls
    inner join files on md5(urls.image_url) = files.stem
    union
    select urls.image_url, files.path
    from urls
    inner join files on sha1(urls.image_url) = files.stem
    union
    select urls.image_url, files.path
    from urls
    inner join files on sha256(urls.image_url) = files.stem
),

by_name as (
    select urls.image_url, files.path
    from urls
    inner join files on urls.file_name = files.name
    union
    select urls.image_url, files.path
    from urls
    inner join files on url_decode(urls.file_name) = files.name
),

hits as (
    select image_url, path, 1 as url_count from by_hash
    union all
    select
        image_url,
        path,
        count(*) over (partition by path) as url_count,
    from by_name
    anti join by_hash on by_name.image_url = by_hash.image_url
)

select
    image_url,
    greatest(count(*), max(url_count)) as place_count,
    min(path) as path,
    null::bigint as image_offset,
    null::bigint as image_bytes,
from hits
group by image_url
"""


def create_image_table(con: Any, images: str, progress: ProgressCallback) -> None:
    """Make the table ``images``: image_url, place_count, path, image_offset, image_bytes.

    If the folder holds tars, it is img2dataset's output, and an image belongs to the ``url`` in
    its JSON member (the first, if a URL comes twice). Otherwise a file belongs to the URL whose
    MD5, SHA-1 or SHA-256 in hex is its name without extension, or else to the URL whose last path
    component, as it stands or percent-decoded, is its name. If several files or several URLs fit
    that name, ``place_count`` is above 1 and nobody gets the image.

    Args:
        con: A connection that knows ``tsv_rows``.
        images: A folder, or tars as `expand_shards` takes them.
        progress: Told of each tar.

    Raises:
        SourceError: The folder is not there or holds no image.
        ShardError: A tar is damaged.
    """
    fs, root = open_place(images)
    is_folder = fs.isdir(root)
    if not is_folder and not any(letter in images for letter in "{*?[") and not fs.exists(root):
        raise SourceError(
            f"The images {images} are not there.",
            "Give a folder of images, or the output folder of img2dataset.",
        )
    has_tars = not is_folder or any(
        str(name).endswith(".tar") and find_hidden(str(name).rsplit("/", 1)[-1]) is None
        for name in fs.ls(root, detail=False)
    )
    if has_tars:
        con.execute(
            "create or replace table places "
            "(image_url varchar, path varchar, image_offset bigint, image_bytes bigint)"
        )
        count = _insert(con, "places", _read_tars(expand_shards([images]), progress))
        con.execute(
            "create or replace table images as "
            "select image_url, 1 as place_count, arg_min(path, (path, image_offset)) as path, "
            "arg_min(image_offset, (path, image_offset)) as image_offset, "
            "arg_min(image_bytes, (path, image_offset)) as image_bytes "
            "from places group by image_url"
        )
    else:
        con.execute("create or replace table files (name varchar, stem varchar, path varchar)")
        count = _insert(con, "files", _list_images(fs, root))
        con.execute(_MATCH_FILES)
    if count == 0:
        raise SourceError(
            f"{images} holds no image" + (" with a url in its JSON." if has_tars else "."),
            "Give a folder of images, or the output folder of img2dataset.",
        )


def _list_images(fs: Any, root: str) -> Iterator[tuple[str, str, str]]:
    for path in list_folder(fs, root).files:
        name = path.rsplit("/", 1)[-1]
        stem, extension = split_ending(name)
        if is_image_name(extension):
            yield name, stem, spell_place(fs, f"{root.rstrip('/')}/{path}")


def _read_tars(urls: list[str], progress: ProgressCallback) -> Iterator[tuple[str, str, int, int]]:
    progress.start("tars of images", len(urls))
    for tar in urls:
        try:
            yield from _read_tar(tar)
        except DamagedShardError as error:
            if error.reason != "tar_empty":  # img2dataset leaves such where no download succeeded
                raise
        progress.advance(1, tar)
    progress.finish()


def _read_tar(tar: str) -> Iterator[tuple[str, str, int, int]]:
    with open_shard(tar) as file:
        for sample in read_samples(file, tar, lambda extension: extension == "json"):
            record = sample.members.get("json")
            if sample.error is not None or record is None or not sample.images:
                continue
            image = sample.members[sample.images[0]]
            url = read_url(parse_record(record.data, Notices()))
            if url is not None and image.problem is None:
                yield url, tar, image.offset, image.size


def _insert(con: Any, table: str, rows: Iterable[tuple[object, ...]]) -> int:
    import pyarrow as pa

    names = [row[0] for row in con.sql(f"describe {table}").fetchall()]
    count, rows = 0, iter(rows)
    while batch := list(islice(rows, _BATCH_ROWS)):
        columns = dict(zip(names, zip(*batch, strict=True), strict=True))
        con.register("batch", pa.table({name: list(values) for name, values in columns.items()}))
        con.execute(f"insert into {table} select * from batch")
        con.unregister("batch")
        count += len(batch)
    return count
