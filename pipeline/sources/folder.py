"""A folder of images, with captions in sidecar ``.txt`` files, one CSV or one JSONL."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.config import IngestConfig
from pipeline.errors import ExampleError, SourceError
from pipeline.names import is_image_name
from pipeline.places import open_place
from pipeline.progress import ProgressCallback
from pipeline.sources.published import read_published_name
from pipeline.sources.texts import TEXT_KINDS, SourceText, make_text
from pipeline.sources.writer import SourceExample, ingest_examples, make_reject
from pipeline.storage import Store

_FILE_COLUMNS = ("file", "file_name", "image")
_TEXT_COLUMNS = ("caption", "text")


def ingest_folder(
    store: Store,
    config: IngestConfig,
    paths: Sequence[str],
    options: Mapping[str, Any],
    progress: ProgressCallback,
) -> None:
    """Write the images of folders into shards, in the order of their relative paths.

    Args:
        store: The warehouse.
        config: Name of the dataset, size of shards and limits.
        paths: Folders or URLs; images are found at any depth.
        options: ``captions``: the CSV or JSONL; by default the only one at the top of the folder.
        progress: Told of each shard.

    Raises:
        SourceError: A folder is not there or holds no image, or the captions cannot be read.
    """
    captions = options.get("captions")
    items = (item for path in paths for item in iter_folder(path, captions))
    ingest_examples(store, config, "folder", items, progress)


def iter_folder(path: str, captions: str | None = None) -> Iterator[SourceExample]:
    """Give the images of one folder, sorted by relative path, then what must be rejected.

    The captions' column ``file`` (or ``file_name``, ``image``) holds the path relative to the
    folder, or the file's name if no other has it. ``caption`` (or ``text``) is the text;
    ``language``, ``text_kind``, ``page_title`` and ``url`` are optional. An image may have several
    rows. A captions file found at the top of the folder goes with sidecars; one that is named by
    ``captions`` is all there is, and sidecars are not read. Files that are neither images nor
    captions, and captions without an image, come last and become rejects: ``unknown_extension``,
    ``image_missing``, ``image_ambiguous``, ``bad_caption_row``. A file named ``label=X_text=Y`` is a
    typographic attack, see :func:`pipeline.sources.published.read_published_name`.

    Raises:
        SourceError: The folder is not there or holds no image, or the captions cannot be read.
    """
    fs, root = open_place(path)
    root = root.rstrip("/")
    if not fs.isdir(root):
        raise SourceError(f"{path} is not a folder.", "Give the folder that holds the images.")
    names = sorted(str(name).removeprefix(f"{root}/") for name in fs.find(root))
    folder = _Folder(fs, root, [name for name in names if is_image_name(_extension(name))])
    if not folder.images:
        raise SourceError(
            f"{path} holds no image.", "Expected files such as .jpg, .png or .webp, at any depth."
        )
    has_sidecars = captions is None
    if captions is None:
        captions = _find_captions(path, names, root)
    if captions is not None:
        folder.read_captions(captions)
    images = set(folder.images)
    sidecars = {_stem(name) for name in names if has_sidecars and _is_text(name)}
    for name in folder.images:
        yield folder.example(name, _stem(name) in sidecars)
    yield from folder.rejects
    stems = {_stem(name) for name in images}
    caption_file = None if captions is None else open_place(captions)[1]
    for name in names:
        if name in images or f"{root}/{name}" == caption_file:
            continue
        if not _is_text(name):
            yield make_reject(
                name, "unknown_extension", f"{name} is neither an image nor a caption"
            )
        elif has_sidecars and _stem(name) not in stems:
            yield make_reject(name, "image_missing", f"the caption {name} has no image beside it")


@dataclass
class _Folder:
    """The images of one folder and the texts that a captions file gives them."""

    fs: Any
    root: str
    images: list[str]
    texts: dict[str, list[SourceText]] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)
    rejects: list[SourceExample] = field(default_factory=list)

    def example(self, name: str, has_sidecar: bool) -> SourceExample:
        """One image with its texts."""
        texts = list(self.texts.get(name, ()))
        problem = None
        if has_sidecar:
            try:
                text = self._read(f"{_stem(name)}.txt").decode("utf-8-sig").strip()
                texts.append(make_text(text))
            except UnicodeDecodeError as error:
                problem = ExampleError("bad_text", f"{_stem(name)}.txt is not UTF-8: {error}")

        def read_image() -> bytes:
            if problem is not None:
                raise problem
            return self._read(name)

        stem, extension = _stem(name), _extension(name)
        stimulus = read_published_name(stem.rsplit("/", 1)[-1])
        if stimulus is not None and not texts:
            texts = [make_text(str(stimulus["concept"]), "en")]
        return SourceExample(stem, read_image, extension, texts, self.urls.get(name), stimulus)

    def read_captions(self, path: str) -> None:
        """Attach the rows of a CSV or JSONL to their images."""
        by_name: dict[str, list[str]] = {}
        for image in self.images:
            by_name.setdefault(image.rsplit("/", 1)[-1], []).append(image)
        known = set(self.images)
        for number, row in _read_rows(path):
            file = _first(row, _FILE_COLUMNS).removeprefix("./")
            kind = str(row.get("text_kind") or "caption")
            where = f"line {number} of {path}"
            if not file or kind not in TEXT_KINDS:
                what = "names no file" if not file else f"has the unknown text_kind {kind!r}"
                self.rejects.append(make_reject(where, "bad_caption_row", f"{where} {what}"))
                continue
            candidates = [file] if file in known else by_name.get(file, [])
            if len(candidates) != 1:
                reason = "image_ambiguous" if candidates else "image_missing"
                what = f"names {file}, and {len(candidates) or 'no'} images are called that"
                self.rejects.append(make_reject(file, reason, f"{where} {what}"))
                continue
            text = make_text(
                _first(row, _TEXT_COLUMNS), row.get("language"), kind, row.get("page_title")
            )
            self.texts.setdefault(candidates[0], []).append(text)
            if row.get("url"):
                self.urls.setdefault(candidates[0], str(row["url"]))

    def _read(self, name: str) -> bytes:
        try:
            return bytes(self.fs.cat_file(f"{self.root}/{name}"))
        except OSError as error:
            raise ExampleError("image_unreadable", f"{name}: {error}") from error


def _read_rows(path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a CSV or JSONL with their line numbers."""
    fs, inner = open_place(path)
    try:
        with fs.open(inner, "rb") as file:
            lines = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
            if inner.endswith(".csv"):
                reader = csv.DictReader(lines)
                _check_columns(path, reader.fieldnames or ())
                for row in reader:
                    yield reader.line_num, row
            else:
                yield from _read_jsonl(lines)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(
            f"The captions {path} could not be read: {error}.",
            "Expected a UTF-8 file .csv with a header, or .jsonl with an object a line.",
        ) from error


def _read_jsonl(lines: io.TextIOWrapper) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            yield number, row if isinstance(row, dict) else {}


def _check_columns(path: str, found: Sequence[str]) -> None:
    for wanted in (_FILE_COLUMNS, _TEXT_COLUMNS):
        if not set(wanted) & set(found):
            raise SourceError(
                f"The captions {path} have no column {' or '.join(wanted)}; "
                f"they have: {', '.join(found) or 'nothing'}.",
                "Expected a header line with at least file and caption.",
            )


def _find_captions(path: str, names: Sequence[str], root: str) -> str | None:
    found = [name for name in names if "/" not in name and name.endswith((".csv", ".jsonl"))]
    if len(found) > 1:
        raise SourceError(
            f"{path} holds several files that may be captions: {', '.join(found)}.",
            "Say which one with the option captions.",
        )
    return f"{path.rstrip('/')}/{found[0]}" if found else None


def _first(row: Mapping[str, Any], columns: Sequence[str]) -> str:
    values = (row[column] for column in columns if row.get(column) is not None)
    return str(next(values, "")).strip()


def _extension(name: str) -> str:
    base = name.rsplit("/", 1)[-1]
    return base.rsplit(".", 1)[-1] if "." in base.lstrip(".") else ""


def _stem(name: str) -> str:
    extension = _extension(name)
    return name[: -len(extension) - 1] if extension else name


def _is_text(name: str) -> bool:
    return _extension(name).lower() == "txt"
