"""A folder of images, with captions in sidecar ``.txt`` and ``.json`` files and in tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.base.errors import ExampleError, SourceError
from pipeline.base.folders import Listing, list_folder
from pipeline.base.names import UNREADABLE_EXTENSIONS, describe_ending, is_image_name, split_ending
from pipeline.base.places import open_place
from pipeline.base.progress import ProgressCallback
from pipeline.base.settings import FolderOptions, IngestConfig
from pipeline.base.storage import Store
from pipeline.sources.layouts.image_finder import ImageFinder
from pipeline.sources.layouts.published import read_published_name
from pipeline.sources.notices import (
    HIDDEN_FILE,
    OTHER_FILE,
    SPECIAL_FILE,
    TEXT_EMPTY,
    TEXT_LEFT_OUT,
    TEXT_NOT_USED,
    TEXT_UNREADABLE,
    Notices,
    PassedOver,
)
from pipeline.sources.texts.caption_json import FILE_COLUMNS, TEXT_COLUMNS
from pipeline.sources.texts.caption_table import (
    SUFFIXES,
    CaptionRow,
    holds_captions,
    read_caption_table,
)
from pipeline.sources.texts.captions import iter_captions
from pipeline.sources.texts.languages import read_language
from pipeline.sources.texts.source_text import (
    TEXT_KINDS,
    SourceText,
    make_concept,
    make_text,
    read_sidecars,
    read_url,
    split_concepts,
)
from pipeline.sources.writer import SourceExample, ingest_examples, make_reject
from pipeline.tables.samples import is_text_name


def ingest_folder(
    store: Store,
    config: IngestConfig,
    paths: Sequence[str],
    options: FolderOptions,
    progress: ProgressCallback,
) -> None:
    """Write the images of folders into shards, in the order of their relative paths.

    Args:
        store: The warehouse.
        config: Name of the dataset, size of shards and limits.
        paths: Folders or URLs; images are found at any depth.
        options: Which file holds the captions.
        progress: Told of each shard.

    Raises:
        SourceError: A folder is not there or holds no image, or the captions cannot be read.
    """
    captions = options.captions or None
    passed_over = PassedOver()
    folders = options.folder_concepts
    items = (
        item
        for path in paths
        for item in iter_folder(path, captions, passed_over, store.url, folders)
    )
    ingest_examples(store, config, "folder", items, progress, passed_over)


def iter_folder(
    path: str,
    captions: str | None = None,
    passed_over: PassedOver | None = None,
    but: str = "",
    folder_concepts: bool = False,
) -> Iterator[SourceExample]:
    """Give the images of one folder, sorted by relative path, then what must be rejected.

    The captions' column ``file`` (or ``file_name``, ``filename``, ``image``, ...) holds the path relative to
    the folder, or the file's name if no other has it. ``caption`` (or ``text``) is the text;
    ``language``, ``text_kind``, ``page_title``, ``url``, ``concept`` and ``category`` are optional. An
    image may have several rows. JSON has any of the layouts of `caption_json`. A captions file found at the
    top of the folder, or without one each ``metadata.*`` of a subfolder, goes with sidecars; one that is
    named by ``captions`` is all there is, and sidecars are not read. A sidecar is called as its image, with
    ``.txt`` or ``.json`` instead of the ending or behind it; ``a.de.txt`` is a German one of ``a.jpg``.

    Captions without an image, pictures in formats that nothing here reads, and links to nothing come
    last and become rejects: ``image_missing``, ``image_ambiguous``, ``bad_caption_row``,
    ``unsupported_format``, ``image_unreadable``. Files that are neither are passed over. A file named
    ``label=X_text=Y`` is a typographic attack, see `published.read_published_name`.

    Args:
        path: The folder; a path or URL.
        captions: The file of captions: CSV, TSV, JSONL, JSON or Parquet.
        passed_over: Counts hidden files, pipes and the like, and files of other kinds.
        but: A place, our warehouse, that is left out where it lies below the folder.
        folder_concepts: The folders that an image lies in name what it shows, see `_name_concepts`.

    Raises:
        SourceError: The folder is not there or holds no image, or the captions cannot be read.
    """
    passed_over = PassedOver() if passed_over is None else passed_over
    fs, root = open_place(path)
    root = root.rstrip("/") or "/"
    if not fs.isdir(root):
        raise SourceError(f"{path} is not a folder.", "Give the folder that holds the images.")
    listing = list_folder(fs, root, but)
    for kind, count in listing.hidden.items():
        passed_over.add(HIDDEN_FILE, kind, count)
    for kind, count in listing.special.items():
        passed_over.add(SPECIAL_FILE, kind, count)
    images = [name for name in listing.files if is_image_name(split_ending(name)[1])]
    if not images:
        raise SourceError(f"{path} holds no image{_describe(listing)}.", _EXPECTED)
    folder = _Folder(fs, root, images)
    if folder_concepts:
        folder.texts = {name: _name_concepts(name) for name in images}
    if captions is None:
        folder.find_sidecars(listing.files)
    if captions is not None:
        folder.read_captions(captions)
    else:
        folder.find_tables(path, listing.files)
        for table in folder.tables:
            folder.read_captions(f"{path.rstrip('/')}/{table}", table.rpartition("/")[0])
    for name in images:
        yield folder.example(name)
    yield from folder.rejects
    for name, why in listing.broken:
        if is_image_name(split_ending(name)[1]) or why.startswith("the folder"):
            yield make_reject(name, "image_unreadable", f"{name}: {why}")
        else:
            passed_over.add(SPECIAL_FILE, "link to nothing")
    named = "" if captions is None else open_place(captions)[1]
    rest = (name for name in listing.files if f"{root}/" + name != named)
    yield from folder.reject_others(rest, captions is None, passed_over)


_MOST_TABLES = 32
"""More files than these that may be tables are metadata of single images, not tables."""

_EXPECTED = "Expected files such as .jpg, .png or .webp, at any depth."


def _name_concepts(name: str) -> list[SourceText]:
    """What the folders of an image say: of ``animals/birds/kea.jpg`` birds (animals) and animals (folder)."""
    names = [part.replace("_", " ") for part in name.split("/")[:-1]]
    families = ["folder", *names]
    found = map(make_concept, names, families)
    return [concept for concept in found if concept is not None][::-1]


def _describe(listing: Listing) -> str:
    endings = sorted({describe_ending(name) for name in listing.files})[:8]
    return f", only files with the endings {', '.join(endings)}" if endings else ""


@dataclass
class _Folder:
    """The images of one folder, and the texts that sidecars and a captions file give them."""

    fs: Any
    root: str
    images: list[str]
    texts: dict[str, list[SourceText]] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)
    notices: dict[str, Notices] = field(default_factory=dict)
    rejects: list[SourceExample] = field(default_factory=list)
    sidecars: dict[str, dict[str, str]] = field(default_factory=dict)
    """Stem or name of an image -> ``json``, ``txt`` or ``de.txt`` -> the file that is its sidecar."""
    tables: list[str] = field(default_factory=list)
    """Captions files that are read without being named."""
    unread: list[str] = field(default_factory=list)
    """Those that are not."""
    others: list[str] = field(default_factory=list)
    """JSON and Parquet files that were looked into and hold no captions of these images."""
    damaged: list[str] = field(default_factory=list)
    """Files that may be captions and cannot be read."""

    def __post_init__(self) -> None:
        self.finder = ImageFinder(self.images, self.root)
        self.owners = {split_ending(name)[0] for name in self.images} | set(self.images)

    def find_sidecars(self, names: Sequence[str]) -> None:
        """Find the text files that are called as an image, or whose names go on behind its name."""
        for name in names:
            stem, extension = split_ending(name)
            if not is_text_name(extension):
                continue
            owner = stem
            while owner not in self.owners and split_ending(owner)[1]:
                owner = split_ending(owner)[0]
            if owner in self.owners:
                rest = f"{name[len(owner) + 1 : -len(extension)]}{extension.lower()}"
                self.sidecars.setdefault(owner, {}).setdefault(rest, name)

    def find_tables(self, path: str, names: Sequence[str]) -> None:
        """Find the files that hold captions of many images: the only one at the top, or each folder's own."""
        used = {file for files in self.sidecars.values() for file in files.values()}
        odd = [n for n in names if n.lower().endswith((".json", ".parquet")) and n not in used]
        looked = odd if len(odd) <= _MOST_TABLES else []
        found = [name for name in names if name.lower().endswith(SUFFIXES)]
        for name in looked:
            holds = holds_captions(self.fs, f"{self.root}/{name}", self.finder.is_image)
            if holds:
                found.append(name)
            elif holds is None:
                self.damaged.append(name)
            else:
                self.others.append(name)
        found = sorted(found) if len(found) <= _MOST_TABLES else [n for n in found if "/" not in n]
        top = [name for name in found if "/" not in name]
        if len(top) > 1:
            raise SourceError(
                f"{path} holds several files that may be captions: {', '.join(top)}.",
                "Say which one with the option captions, or move those that are none elsewhere.",
            )
        below = [n for n in found if split_ending(n.rpartition("/")[2])[0].lower() == "metadata"]
        self.tables = top or below
        self.unread = [name for name in found if name not in self.tables]

    def example(self, name: str) -> SourceExample:
        """One image with its texts."""
        stem, extension = split_ending(name)
        texts = list(self.texts.get(name, ()))
        notices = self.notices.get(name, Notices())
        url = self.urls.get(name)
        end = extension.lower()
        own = {f"{end}.{rest}": file for rest, file in self.sidecars.get(name, {}).items()}
        read = {
            rest: data
            for rest, file in (own | self.sidecars.get(stem, {})).items()
            if (data := self._read_text(file, notices)) is not None
        }
        beside = read_sidecars(read, end, notices)
        texts += beside.texts
        url = url or beside.url
        stimulus = read_published_name(stem.rsplit("/", 1)[-1])
        if stimulus is not None and not split_concepts(texts)[0]:
            texts += [make_text(str(stimulus["concept"]), "en")]

        def read_image() -> bytes:
            try:
                return bytes(self.fs.cat_file(f"{self.root}/{name}"))
            except OSError as error:
                raise ExampleError("image_unreadable", f"{name}: {error}") from error

        return SourceExample(stem, read_image, extension, texts, url, stimulus, tuple(notices))

    def read_captions(self, path: str, below: str = "") -> None:
        """Attach the rows of a table to their images, whose names may be relative to a folder ``below``."""
        for row in read_caption_table(path, self.finder.is_image):
            where = f"{row.unit} {row.line} of {path}"
            file = row.first(FILE_COLUMNS)
            kind = row.fields.get("text_kind") or "caption"
            problem = row.problem
            if problem is None and not (isinstance(file, str) and file.strip()):
                problem = "names no file"
            if problem is None and kind not in TEXT_KINDS:
                problem = f"has the unknown text_kind {str(kind)[:40]!r}"
            if problem is not None:
                self.rejects.append(make_reject(where, "bad_caption_row", f"{where} {problem}"))
                continue
            file = str(file).strip()
            found = self.finder.find(file, below)
            if len(found) != 1:
                reason = "image_ambiguous" if found else "image_missing"
                what = f"names {file}, and {len(found) or 'no'} images are called that"
                self.rejects.append(make_reject(file, reason, f"{where} {what}"))
                continue
            self._attach(found[0], row, str(kind))

    def reject_others(
        self, names: Iterator[str], has_sidecars: bool, passed_over: PassedOver
    ) -> Iterator[SourceExample]:
        """Reject pictures that nothing reads, and captions without an image; count the rest."""
        used = {file for files in self.sidecars.values() for file in files.values()}
        bases = {owner.rsplit("/", 1)[-1]: owner for owner in self.owners}
        images = set(self.images) | set(self.tables)
        for name in names:
            stem, extension = split_ending(name)
            kind, base = extension.lower(), stem.rsplit("/", 1)[-1]
            if name in images or name in used:
                continue
            if name in self.unread:
                what = f"captions that are not read unless --captions names them, {name}"
                passed_over.add(TEXT_NOT_USED, what)
            elif kind in UNREADABLE_EXTENSIONS:
                what = f"{name}: nothing here reads .{kind}; convert it to JPEG, PNG or WebP"
                yield make_reject(name, "unsupported_format", what)
            elif has_sidecars and (kind == "txt" or (kind == "json" and base in bases)):
                if stem in self.owners:
                    why = ", or not alone: another text of that name is read"
                elif base in bases:
                    why = f"; {bases[base]} has that name in another folder"
                else:
                    why = "" if "/" in name else "; a table of captions is named with --captions"
                what = f"the caption {name} has no image beside it{why}"
                yield make_reject(name, "image_missing", what)
            elif name in self.damaged:
                passed_over.add(TEXT_UNREADABLE, name)
            else:
                kind = name if name in self.others else describe_ending(name)
                passed_over.add(OTHER_FILE, kind)

    def _attach(self, image: str, row: CaptionRow, kind: str) -> None:
        notices = self.notices.setdefault(image, Notices())
        told = Notices()
        language = read_language(row.fields.get("language"))
        stated = make_concept(row.fields.get("concept"), row.fields.get("category"))
        if stated is not None:
            self.texts.setdefault(image, []).append(stated)
        elif row.fields.get("concept") not in (None, ""):
            told.add(TEXT_LEFT_OUT, f"concept {str(row.fields['concept'])[:60]!r} is no name")
        columns = [column for column in TEXT_COLUMNS if column in row.fields]
        used: list[tuple[str, str]] = []
        for column in columns:
            found = list(iter_captions(row.fields[column], told, language))
            others = [text for text, _ in found if text not in {text for text, _ in used}]
            if used and others:
                told.add(TEXT_NOT_USED, f"{column} says otherwise: {others[0][:60]!r}")
            used = used or found
        if not columns and stated is None:
            told.add(TEXT_EMPTY, f"no caption among {', '.join(list(row.fields)[:8])}")
        for text, own in used:
            entry = make_text(text, own, kind, row.fields.get("page_title"))
            self.texts.setdefault(image, []).append(entry)
        for notice in (*row.notices, *told):
            notices.add(notice.reason, f"{row.unit} {row.line}: {notice.detail}")
        url = read_url(row.fields)
        if url is not None:
            self.urls.setdefault(image, url)

    def _read_text(self, name: str, notices: Notices) -> bytes | None:
        try:
            return bytes(self.fs.cat_file(f"{self.root}/{name}"))
        except OSError as error:
            notices.add(TEXT_UNREADABLE, f"{name}: {error}")
            return None
