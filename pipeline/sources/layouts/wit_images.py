"""Finding the downloaded image of each URL of WIT."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from pipeline.base.errors import DamagedShardError, SourceError
from pipeline.base.folders import Listing, list_folder
from pipeline.base.names import is_image_name, split_ending
from pipeline.base.places import open_place, spell_place
from pipeline.base.progress import ProgressCallback
from pipeline.sources.layouts.shard_lists import expand_shards
from pipeline.sources.notices import Notices
from pipeline.sources.texts.source_text import parse_record, read_sidecars, read_url
from pipeline.tables.samples import is_text_name
from pipeline.tables.tars import open_shard, read_samples

_BATCH_ROWS = 10_000

# A file is offered to a URL by the surest sign that there is: the URL that stands in its JSON or whose hash is
# its name (0), its name (1), its name but for accents, blanks and escapes (2), a thumbnail's name (3).
# A file that fits a URL by a surer sign is offered to no other.
_MATCH_FILES = r"""
create or replace macro plain(name) as nfc_normalize(replace(name, ' ', '_'));

create or replace table images as
with

urls as (
    select
        image_id,
        regexp_extract(image_id, '([^/?#]*)([?#].*)?$', 1) as file_name,
    from tsv_rows
    group by image_id
),

spellings as (
    select image_id, image_id as url from urls
    union all
    select image_id, regexp_replace(image_id, '^https://', 'http://') as url from urls
),

names as (
    select image_id, file_name as name from urls
    union
    select image_id, url_decode(file_name) as name from urls
),

thumbnails as (
    select
        path,
        regexp_extract(path, '^(.*)/', 1) as folder,
        regexp_extract(name, '^(?:loss(?:y|less)-)?(?:page[0-9]+-)?([0-9]+)px--?(.+)$', 1)::bigint
            as width_px,
        regexp_extract(name, '^(?:loss(?:y|less)-)?(?:page[0-9]+-)?([0-9]+)px--?(.+)$', 2) as title,
    from files
    where regexp_matches(name, '^(?:loss(?:y|less)-)?(?:page[0-9]+-)?[0-9]{1,5}px--?.+$')
),

titles as (
    select path, folder, width_px, plain(title) as name from thumbnails
    union
    select path, folder, width_px, plain(regexp_replace(title, '\.[^.]*$', '')) as name
    from thumbnails
),

offers as (
    select urls.image_id, files.path, 0 as sign
    from urls
    inner join files on urls.image_id = files.url
    union
    select spellings.image_id, files.path, 0 as sign
    from spellings
    inner join files on md5(spellings.url) = files.stem
    union
    select spellings.image_id, files.path, 0 as sign
    from spellings
    inner join files on sha1(spellings.url) = files.stem
    union
    select spellings.image_id, files.path, 0 as sign
    from spellings
    inner join files on sha256(spellings.url) = files.stem
    union
    select names.image_id, files.path, 1 as sign
    from names
    inner join files on names.name = files.name
    union
    select names.image_id, files.path, 2 as sign
    from names
    inner join files on plain(names.name) = plain(files.name)
    union
    select names.image_id, arg_max(titles.path, (titles.width_px, titles.path)) as path, 3 as sign
    from names
    inner join titles on plain(names.name) = titles.name
    group by names.image_id, titles.folder
),

surest as (
    select
        image_id,
        path,
        sign,
        min(sign) over (partition by image_id) as url_sign,
        min(sign) over (partition by path) as path_sign,
    from offers
),

hits as (
    select
        image_id,
        path,
        case when sign = 0 then 1 else count(*) over (partition by path) end as url_count,
    from surest
    where sign = url_sign and sign = path_sign
)

select
    image_id,
    greatest(count(*), max(url_count)) as place_count,
    min(path) as path,
    null::bigint as image_offset,
    null::bigint as image_bytes,
from hits
group by image_id
"""


def create_image_table(con: Any, images: str, progress: ProgressCallback) -> None:
    """Make the table ``images``: image_id, place_count, path, image_offset, image_bytes.

    If the folder holds tars, it is img2dataset's output, and an image belongs to the ``url`` in
    its JSON member (the first, if a URL comes twice). Otherwise a file belongs to the URL in the JSON
    file beside it, or whose MD5, SHA-1 or SHA-256 in hex is its name without extension; or else to the
    URL whose last path component, as it stands or percent-decoded, is its name; or whose thumbnail it
    is by Wikimedia's rule (``200px-Drawing.svg.png``; the widest). If several files or several
    URLs fit that name, ``place_count`` is above 1 and nobody gets the image.

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
    listing = list_folder(fs, root) if is_folder else Listing()
    tars = [name for name in listing.files if name.endswith(".tar")]
    has_images = any(is_image_name(split_ending(name)[1]) for name in listing.files)
    has_tars = (
        not is_folder or any("/" not in name for name in tars) or bool(tars and not has_images)
    )
    if has_tars:
        con.execute(
            "create or replace table places "
            "(image_url varchar, path varchar, image_offset bigint, image_bytes bigint)"
        )
        count = _insert(con, "places", _read_tars(expand_shards([images]), progress))
        con.execute(
            "create or replace table images as "
            "select regexp_replace(image_url, '^http://', 'https://') as image_id, 1 as place_count, "
            "arg_min(path, (path, image_offset)) as path, "
            "arg_min(image_offset, (path, image_offset)) as image_offset, "
            "arg_min(image_bytes, (path, image_offset)) as image_bytes "
            "from places group by all"
        )
    else:
        con.execute(
            "create or replace table files (name varchar, stem varchar, path varchar, url varchar)"
        )
        count = _insert(con, "files", _list_images(fs, root, listing.files))
        con.execute(_MATCH_FILES)
    if count == 0:
        raise SourceError(
            f"{images} holds no image" + (" with a url in its JSON." if has_tars else "."),
            "Give a folder of images, or the output folder of img2dataset.",
        )


def _list_images(
    fs: Any, root: str, files: list[str]
) -> Iterator[tuple[str, str, str, str | None]]:
    there = set(files)
    for file in files:
        name = file.rsplit("/", 1)[-1]
        stem, extension = split_ending(name)
        if is_image_name(extension):
            records = [f"{file}.json", f"{split_ending(file)[0]}.json"]
            urls = (_read_url(fs, f"{root.rstrip('/')}/{r}") for r in records if r in there)
            url = next(filter(None, urls), None)
            yield name, stem, spell_place(fs, f"{root.rstrip('/')}/{file}"), url


def _read_url(fs: Any, path: str) -> str | None:
    """The URL in the JSON that img2dataset writes beside an image."""
    try:
        url = read_url(parse_record(bytes(fs.cat_file(path)), Notices()))
    except OSError:
        return None
    return None if url is None else re.sub("^http://", "https://", url)


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
        for sample in read_samples(file, tar, is_text_name):
            if sample.error is not None or not sample.images:
                continue
            image = sample.members[sample.images[0]]
            members = sample.members.items()
            files = {e: m.data for e, m in members if is_text_name(e) and m.data is not None}
            url = read_sidecars(files, sample.images[0], Notices()).url
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
