"""Fetching what nano is trained on: pinned packages of drawings and fonts, through npm.

Weights may be passed on freely only if every source may: the list holds Apache-2.0, MIT, CC BY 4.0 and
OFL sources alone. OpenMoji (CC BY-SA) and Tux Paint's photographs (GPL) are kept for evaluation.
"""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from pathlib import Path

from pipeline.base.errors import SourceError
from pipeline.stimuli.drawings import DrawingSet, load_iconify
from pipeline.stimuli.fonts import Font, find_fonts

TRAINING_SETS = {
    "noto": "1.2.9",
    "noto-v1": "1.2.5",
    "fxemoji": "1.2.2",
    "fluent-emoji": "1.2.7",
    "fluent-emoji-flat": "1.2.6",
    "fluent-emoji-high-contrast": "1.2.6",
    "circle-flags": "1.2.11",
    "flag": "1.2.12",
    "twemoji": "1.2.5",
    "emojione": "1.2.3",
    "emojione-monotone": "1.2.1",
    "streamline-emojis": "1.2.4",
}
"""Packages ``@iconify-json/NAME`` and their versions."""

TRAINING_FONTS = (
    *("abril-fatface", "alfa-slab-one", "anton", "archivo-narrow", "arvo", "bebas-neue", "bitter"),
    *("cabin", "caveat", "comfortaa", "cormorant-garamond", "courier-prime", "crimson-text"),
    *("dancing-script", "exo-2", "fira-sans", "ibm-plex-mono", "ibm-plex-serif", "inconsolata"),
    *("indie-flower", "josefin-sans", "kanit", "karla", "lato", "libre-baskerville", "lobster"),
    *("lora", "merriweather", "montserrat", "noto-serif", "nunito", "open-sans", "oswald"),
    *("pacifico", "patrick-hand", "permanent-marker", "playfair-display", "poppins"),
    *("press-start-2p", "pt-serif", "quicksand", "raleway", "righteous", "roboto", "roboto-slab"),
    *("rubik", "shadows-into-light", "source-code-pro", "special-elite", "titillium-web"),
    *("ubuntu", "vt323", "work-sans", "zilla-slab"),
)
"""Packages ``@fontsource/NAME``."""
FONTS_VERSION = "5.3.0"
_FONT_FILES = ("-latin-400-normal.woff", "-latin-700-normal.woff")


def fetch_training_sets(cache: Path) -> list[DrawingSet]:
    """The drawing sets that nano learns from, fetched into ``cache`` where they are missing.

    Raises:
        SourceError: npm is not installed, or a package cannot be had.
    """
    folders = [_fetch(cache, f"@iconify-json/{n}@{v}") for n, v in TRAINING_SETS.items()]
    return [load_iconify(folder) for folder in folders]


def fetch_training_fonts(cache: Path) -> list[Font]:
    """The fonts that nano reads while it learns: Latin, regular and bold.

    Raises:
        SourceError: npm is not installed, or a package cannot be had.
    """
    folders = [_fetch(cache, f"@fontsource/{n}@{FONTS_VERSION}") for n in TRAINING_FONTS]
    files = [
        str(file)
        for folder in folders
        for file in sorted((folder / "files").iterdir())
        if file.name.endswith(_FONT_FILES)
    ]
    noto = [str(font.path) for font in find_fonts(["manimgx_fonts"]) if font.name == "NotoSans"]
    return list(find_fonts([*files, *noto]))


def _fetch(cache: Path, package: str) -> Path:
    """The unpacked folder of ``@scope/name@version``."""
    folder = cache / package.lstrip("@").replace("/", "-").replace("@", "-")
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    npm = shutil.which("npm")
    if npm is None:
        raise SourceError(
            "npm is not installed, and training nano fetches drawings and fonts through it.",
            "Install Node.js. (Using nano needs neither.)",
        )
    done = subprocess.run(
        [npm, "pack", "--silent", package], cwd=cache, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SourceError(
            f"npm could not fetch {package}: {done.stderr.strip()[-300:]}",
            "Check the network and run the same command again.",
        )
    archive = cache / done.stdout.strip().splitlines()[-1]
    unfinished = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    with tarfile.open(archive) as tar:
        tar.extraction_filter = getattr(tarfile, "data_filter", None)  # since Python 3.11.4
        tar.extractall(unfinished)
    (unfinished / "package").rename(folder)
    shutil.rmtree(unfinished)
    archive.unlink()
    return folder
