"""What the name of a file or of a tar's member says: an image, hidden, or something else.

The one list of image formats: what the decoder reads the index accepts, and the other way round.
"""

from __future__ import annotations

FORMATS: dict[str, tuple[str, ...]] = {
    "JPEG": ("jpg", "jpeg", "jpe", "jfif", "mpo"),
    "PNG": ("png", "apng"),
    "WEBP": ("webp",),
    "GIF": ("gif",),
    "TIFF": ("tif", "tiff"),
    "BMP": ("bmp",),
    "AVIF": ("avif",),
    "JPEG2000": ("jp2", "j2k", "jpc", "jpf", "jpx", "j2c"),
    "PPM": ("ppm", "pgm", "pbm", "pnm"),
}
"""Image formats by Pillow's name, in the order in which they are tried, with their extensions.

A closed list: Pillow's other plugins include some that start programs.
"""

IMAGE_EXTENSIONS = frozenset(extension for names in FORMATS.values() for extension in names)
"""Extensions of members and files that are taken for images. The bytes decide what they are."""

UNREADABLE_EXTENSIONS = frozenset(
    [
        "heic",
        "heif",
        "hif",
        "jxl",
        "jxr",
        "svg",
        "svgz",
        "psd",
        "xcf",
        "ico",
        "tga",
        "exr",
        "hdr",
        "qoi",
        "dds",
        "eps",
        "ai",
        "dng",
        "cr2",
        "cr3",
        "nef",
        "arw",
        "orf",
        "rw2",
        "raf",
    ]
)
"""Extensions of pictures that nothing here can read: each such file is a reject that says so."""

_HIDDEN = frozenset(
    [
        "__MACOSX",
        "Thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "Desktop.ini",
        "__pycache__",
        "$RECYCLE.BIN",
        "lost+found",
        "@eaDir",
        "#recycle",
    ]
) | {"System Volume Information", "Icon\r"}
"""What systems leave beside people's files, beyond names that begin with a dot."""


def is_image_name(extension: str) -> bool:
    """Whether an extension without its leading dot, ``jpg`` or ``v2.jpg``, is an image's."""
    return extension.rsplit(".", 1)[-1].lower() in IMAGE_EXTENSIONS


def find_hidden(name: str) -> str | None:
    """Why a file is passed over, as a word to count by, or None for a file to look at.

    Passed over is all that systems and tools leave behind: ``._NAME`` and ``__MACOSX`` of macOS,
    ``.DS_Store``, ``Thumbs.db``, ``.git``, ``.ipynb_checkpoints``, and whatever else begins with a dot
    or lies in a folder that does.

    Args:
        name: A path relative to the folder or tar that was given, with ``/``.
    """
    for part in name.split("/"):
        if part.startswith("._"):
            return "._*"
        if part in _HIDDEN:
            return part.strip()
        if part.startswith(".") and part.strip("."):
            return part if part in _COMMON else ".*"
    return None


_COMMON = frozenset((".DS_Store", ".git", ".svn", ".ipynb_checkpoints", ".Trash", ".cache"))


def describe_ending(name: str) -> str:
    """A file's ending in lower case, to count by: ``mp3``; ``no ending`` if it has none."""
    base = name.rsplit("/", 1)[-1]
    return split_ending(base)[1].lower()[:20] or "no ending"


def split_ending(name: str) -> tuple[str, str]:
    """Split a path at the last dot of its last part: ``a/b.c.jpg`` is (a/b.c, jpg)."""
    folder, slash, base = name.rpartition("/")
    stem, dot, extension = base.rpartition(".")
    return (f"{folder}{slash}{stem}", extension) if dot and stem.strip(".") else (name, "")
