"""Where the explorer listens, and whether it may write: the options of ``explore``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le

from pipeline.base.fields import Settings, Spelled


@dataclass(frozen=True, kw_only=True)
class ExploreOptions(Settings):
    """How a warehouse is served."""

    host: str = "127.0.0.1"
    """Address to listen on; others than this machine's own need ``--expose``."""
    port: Annotated[int, Ge(0), Le(65535)] = 8600
    """Port to listen on; 0 takes any that is free."""
    names: tuple[str, ...] = ()
    """Host name by which browsers on other machines call it, if it is not the address."""
    expose: bool = False
    """Answer other machines too: whoever reaches it sees every image, text and label of the warehouse."""
    open: bool = False
    """Open the page in the browser."""
    write: bool = False
    """Let people label images on the pages under ``/labels``, and save what they say into the warehouse."""
    labeller: Annotated[
        str, Spelled(r"[^\x00-\x1f\x7f]{0,100}", "a name of 100 letters at most, on one line")
    ] = ""
    """Name of the person who labels, with ``--write``."""
