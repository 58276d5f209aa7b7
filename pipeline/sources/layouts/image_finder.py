"""Which image of a folder a row of a captions file means."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from pipeline.base.names import split_ending


class ImageFinder:
    """Finds the image that a row names: by its path, its name, or its name without the ending."""

    def __init__(self, images: Sequence[str], root: str) -> None:
        self._root = _normal(root).strip("/").split("/")
        self._paths = {_normal(image): image for image in images}
        self._names: dict[str, list[str]] = {}
        self._folded: dict[str, list[str]] = {}
        self._stems: dict[str, list[str]] = {}
        for image in images:
            path = _normal(image)
            name, stem = path.rsplit("/", 1)[-1], split_ending(path)[0]
            self._names.setdefault(name, []).append(image)
            self._folded.setdefault(name.casefold(), []).append(image)
            self._stems.setdefault(stem, []).append(image)
            if "/" in stem:
                self._stems.setdefault(stem.rsplit("/", 1)[-1], []).append(image)

    def find(self, file: str, below: str = "") -> list[str]:
        """The images that a path means: one, if all is well.

        Args:
            file: As a row has it: relative to the folder, to a folder above it, or absolute.
            below: The folder, relative to ours, of the table: a path relative to it goes first.
        """
        plain = _normal(file)
        for path in (f"{_normal(below)}/{plain}" if below else plain, plain, self._cut_root(plain)):
            if path in self._paths:
                return [self._paths[path]]
        for names, name in (
            (self._names, plain),
            (self._folded, plain.casefold()),
            (self._stems, self._cut_root(plain)),
        ):
            if name in names:
                return names[name]
        return []

    def is_image(self, file: str) -> bool:
        """Whether any image is called that."""
        return bool(self.find(file))

    def _cut_root(self, path: str) -> str:
        """A path without the folders that are the end of ours: ``train/a.jpg`` in ``.../train``."""
        parts = path.lstrip("/").split("/")
        for count in range(1, len(parts)):
            if self._root[-count:] == parts[:count]:
                return "/".join(parts[count:])
        return path


def _normal(name: str) -> str:
    """One spelling: accents as one character (macOS parts them), ``/`` between folders."""
    return unicodedata.normalize("NFC", name.replace("\\", "/").removeprefix("./"))
