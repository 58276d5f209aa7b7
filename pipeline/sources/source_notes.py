"""What a source knows about a shard beyond its tar: the index takes it in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.sources.notices import Notice


@dataclass(frozen=True)
class SourceReject:
    """An item that the source lists and that never reached the tar."""

    position: int
    """0-based place in the source's list for the shard."""
    key: str | None
    """The key that it would have had."""
    reason: str
    """A word to count by."""
    detail: str
    """What was seen."""


@dataclass(frozen=True)
class SourceNotice:
    """What the source tells of one of its items."""

    position: int
    """0-based place of the sample in the tar."""
    key: str
    """The sample's key."""
    notice: Notice
    """What is told."""


@dataclass(frozen=True)
class SourceNotes:
    """What the source knows about a shard beyond its tar."""

    rejects: tuple[SourceReject, ...] = ()
    """Items of the source that are not in the tar. They never make a shard fail."""
    notices: tuple[SourceNotice, ...] = ()
    """What the source tells of samples of the tar."""
    passed_over: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Files that the source passed over, by reason and kind."""
    sample_count: int | None = None
    """How many samples the tar must hold; None if the source does not say."""
    problem: tuple[str, str] | None = None
    """Why the shard fails whatever its tar holds, as (reason, what to tell)."""
    has_tar: bool = True
    """Whether there is a tar to read; without one ``problem`` says why."""
    source_count: int | None = None
    """Items of the source that this shard used up, for shards that we write."""
    source_digest: str | None = None
    """Hash of those items."""
    tar_checksum: str | None = None
    """Of the tar, for shards that we write."""
