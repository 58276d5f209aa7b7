"""What can go wrong, as one tree.

    NeuronsError                  every error that we raise on purpose
    ├── ConfigError               settings that cannot work
    │   └── ConfigMismatchError   two configurations in one place
    ├── SourceError               a foreign layout is not what it claims to be
    ├── ShardError                a shard that cannot be trusted as a whole
    │   └── DamagedShardError     its tar is cut, corrupt or empty
    ├── ExampleError              one example that cannot be used: it becomes a reject row
    ├── ModelError                a model that cannot be loaded
    │   └── HookError             a layer that cannot be read
    ├── DeviceError               a device that is not there
    ├── ActivationError           activations that cannot be stored as asked
    ├── StorageError              a place that cannot be written or read
    ├── WarehouseError            a warehouse that cannot answer
    │   └── NewerFormatError      a newer version of ours wrote it
    └── MissingDependencyError    an optional package is needed

Each message says what is wrong, with the value; where; what was expected; and what to do next.
The command line prints them without a traceback and exits with status 2; any other exception is a
bug of ours and shows its traceback.
"""

from __future__ import annotations

from pipeline.base.display import show_lines


class NeuronsError(Exception):
    """An error with a way out.

    Args:
        message: What is wrong, with the value, and where. One sentence, ends with a period.
        hint: What was expected and what to do next.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """For people: ``message`` and ``hint`` hold the exact text."""
        message = show_lines(self.message)
        return f"{message}\n  {show_lines(self.hint)}" if self.hint else message


class ConfigError(NeuronsError):
    """Settings that cannot work."""


class ConfigMismatchError(ConfigError):
    """The place already holds the outputs of another configuration."""


class SourceError(NeuronsError):
    """A foreign layout (WIT, img2dataset, a folder) is not what it claims to be."""


class ShardError(NeuronsError):
    """A shard that cannot be trusted as a whole; other shards go on."""


class DamagedShardError(ShardError):
    """A tar that is cut, corrupt or empty.

    Args:
        reason: A word to count by: ``tar_truncated``, ``tar_damaged_header``, ``tar_empty``,
            ``tar_trailing_data`` or ``too_many_samples``.
        message: What is wrong, and at which byte.
        hint: What to do next.
        sample_count: Whole samples that were read before the damage.
    """

    def __init__(self, reason: str, message: str, hint: str = "", sample_count: int = 0) -> None:
        super().__init__(message, hint)
        self.reason = reason
        self.sample_count = sample_count
        self.args = (reason, message, hint, sample_count)  # what pickle makes it anew from


class ExampleError(NeuronsError):
    """One example that cannot be used; it becomes a reject row and the others go on.

    Args:
        reason: A short snake_case word that can be counted, e.g. ``image_truncated``.
        detail: What was seen, for a person.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.args = (reason, detail)  # what pickle makes it anew from


class ModelError(NeuronsError):
    """A model that cannot be loaded."""


class HookError(ModelError):
    """A layer that is not in the model or cannot be read as neurons."""


class DeviceError(NeuronsError):
    """A device that was asked for and is not there. Never replaced by another one in silence."""


class ActivationError(NeuronsError):
    """Activations that are not finite, or beyond the range of the type they are stored as."""


class StorageError(NeuronsError):
    """A place that cannot be written or read: permissions, a full disk, a lost connection."""


class WarehouseError(NeuronsError):
    """A warehouse that cannot answer: nothing in it yet, or a file in it is damaged."""


class NewerFormatError(WarehouseError):
    """A record that a newer version of ours wrote: nothing is damaged, and nothing may be made again."""


class MissingDependencyError(NeuronsError):
    """An optional package is needed for what was asked."""
