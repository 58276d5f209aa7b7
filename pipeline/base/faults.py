"""What a failed read or write means: a limit, a permission, a broken disk, a file that is gone, damage.

Only damage is told as damage, since its cure makes files again. Everything else leaves the files as
they are, and the message says so. What an error means is told by its type and its number. DuckDB gives
no number: there the words are asked, of the types that speak of files alone, and only words of DuckDB's
own: what stands in quotes or after the beginning of a message may be the text of a query.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.base.errors import NeuronsError, StorageError, WarehouseError
from pipeline.base.open_files import open_file_limit

SPILL_VARIABLE = "NEURONS_MAX_SPILL"
"""The environment variable that sets how much queries may spill, such as ``200GB``."""

_TOO_MANY = (errno.EMFILE, errno.ENFILE)
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_BROKEN = (
    *(errno.EIO, errno.ENXIO, errno.ENODEV, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT),
    *(errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED),
    *(errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EREMOTEIO),
)
_TOLD = (*_TOO_MANY, *_DENIED, errno.ENOENT, *_FULL, errno.ENOMEM, *_BROKEN)

# How messages of DuckDB's Parquet reader about bytes that are not what they were begin (each was seen, by
# flipping bits and cutting files); what its decoders throw arrives as a plain duckdb.Error.
_DAMAGE = re.compile(
    "(Invalid Input|IO) Error: "
    "(No magic bytes found|File '' too small to be a Parquet|Footer length error|Incorrect stats size|"
    "Failed to read (Parquet )?file|Failed to read \\d+ bytes from|Could not read enough bytes|"
    "The parquet file '' seems|Malformed Parquet|Mismatch in parquet read|Parquet (file|metadata) (is|has) |"
    "Invalid string encoding found in Parquet|Prefetch registered|Unexpected end of stream|"
    "Unsupported converted type)"
)
_ARROWS_DAMAGE = re.compile(
    "[Cc]hecksum|[Cc]orrupt|[Tt]hrift|Unexpected end of stream|Unexpected null field|flatbuffer|"
    "ColumnMetaData|histogram size mismatch|Invalid physical column type|Parquet"
)
"""In what Arrow raises as an `OSError` without a number. No text of a query comes there."""

_NO_FILES = "IO Error: No files found that match the pattern"
_QUOTED = re.compile(r"""["']([^"']*/[^"']*)["']""")
_IN_QUOTES = re.compile(r"""(["']).*?\1""")

_NUMBERS = {
    "FileNotFoundError": errno.ENOENT,
    "PermissionError": errno.EACCES,
    "TimeoutError": errno.ETIMEDOUT,
    "ConnectionRefusedError": errno.ECONNREFUSED,
    "ConnectionResetError": errno.ECONNRESET,
}
"""Of Python's errors that say no number themselves, as those of object stores."""


def explain_fault(error: BaseException, place: str) -> NeuronsError | None:
    """Our error for one of the system, of DuckDB or of Arrow; None if it is not about files or limits.

    Args:
        error: What was raised.
        place: The warehouse (folder or URL), or whatever else was read or written; empty if that is
            not known.
    """
    text = first_line(error)
    number = _find_number(error)
    path = _find_path(error, text) or place or "A file"
    if isinstance(error, MemoryError) or number == errno.ENOMEM:  # Arrow's is a MemoryError too
        return _explain_memory(text, "Close other programs, or take a machine with more.")
    if _is_torch_memory(error):
        return _explain_memory(text, "Give a smaller --batch-size.")
    if _name(error) == "duckdb.OutOfMemoryException" and number not in _FULL:
        return _explain_bound(text)
    is_operational = _is_operational(error)
    if number == errno.ENOENT or (is_operational and text.startswith(_NO_FILES)):
        return WarehouseError(f"{path} is gone.", f"Make it again with: {_repair(place)}")
    if number is not None:
        return _explain_number(number, path)
    if _is_passed_on(error):
        return StorageError(
            f"{place or 'A file'} cannot be read: {text}.",
            "Nothing says that it is damaged. Look at the place and the connection to it, and run the "
            "same command again.",
        )
    if _is_damage(error, text):
        return WarehouseError(
            f"A file{f' of {place}' if place else ''} is damaged: {text}",
            f"See which with: neurons check --all. Make it again, and only it, with: {_repair(place)}",
        )
    return None


@contextmanager
def faults_told(place: str) -> Iterator[None]:
    """Turn errors of the system, DuckDB and Arrow into ours; what is none of them passes unchanged.

    Args:
        place: The warehouse, or whatever else is read or written.

    Raises:
        StorageError: A limit, a permission, a full or broken disk, a lost connection.
        WarehouseError: A file is damaged or gone.
    """
    try:
        yield
    except NeuronsError:
        raise
    except Exception as error:
        told = explain_fault(error, place)
        if told is None:
            raise
        raise told from error


@contextmanager
def system_faults_told(place: str) -> Iterator[None]:
    """As `faults_told`, for errors of the system only; a file that is not there passes unchanged.

    Args:
        place: The file that is read.

    Raises:
        StorageError: A limit, a permission, a broken disk, a lost connection.
    """
    try:
        yield
    except OSError as error:
        told = explain_system_fault(error, place)
        if told is None:
            raise
        raise told from error


def explain_system_fault(error: OSError, place: str) -> NeuronsError | None:
    """Our error for a limit, a permission, a broken disk or a lost connection; None for all else."""
    is_told = error.errno in _TOLD and error.errno != errno.ENOENT
    return explain_fault(error, place) if is_told else None


def _name(error: BaseException) -> str:
    """``package.Class``; the package need not be imported to ask."""
    return f"{type(error).__module__.lstrip('_').split('.')[0]}.{type(error).__name__}"


def _is_passed_on(error: BaseException) -> bool:
    """Whether it is what Python said inside DuckDB, as our files do: a plain error with a traceback."""
    return _name(error) == "duckdb.Error" and str(error).startswith("Traceback")


def _is_operational(error: BaseException) -> bool:
    """Whether its type says that it is of files, memory or connections, and not of a query or a value."""
    kinds = (f"{kind.__module__.lstrip('_')}.{kind.__name__}" for kind in type(error).__mro__)
    return "duckdb.OperationalError" in kinds


def _is_torch_memory(error: BaseException) -> bool:
    is_cpu = _name(error) == "builtins.RuntimeError" and "DefaultCPUAllocator" in str(error)
    return is_cpu or _name(error) == "torch.OutOfMemoryError"


def _is_damage(error: BaseException, text: str) -> bool:
    if _name(error) in ("duckdb.Error", "pyarrow.ArrowInvalid"):
        return True  # what decoders throw
    if isinstance(error, OSError):
        return not error.errno and _ARROWS_DAMAGE.search(text) is not None
    is_of_reader = _is_operational(error) or _name(error) == "duckdb.InvalidInputException"
    return is_of_reader and _DAMAGE.match(_IN_QUOTES.sub("''", text)) is not None


def _find_number(error: BaseException) -> int | None:
    """The system's number for what went wrong; None if it is no such thing."""
    number = error.errno if isinstance(error, OSError) else None
    words = ""
    if _is_passed_on(error):
        said = first_line(error)
        found = re.match(r"\w+: \[Errno (\d+)\]", said)
        number = int(found[1]) if found else _NUMBERS.get(said.split(":")[0])
    elif _is_operational(error) or (isinstance(error, OSError) and number is None):
        words = _IN_QUOTES.sub("", first_line(error))
    if words:
        number = max(
            (known for known in _TOLD if os.strerror(known) in words),
            key=lambda known: len(os.strerror(known)),  # some begin with another
            default=None,
        )
    return number if number in _TOLD else None


def _find_path(error: BaseException, text: str) -> str | None:
    """The file that it is about, if it says."""
    if isinstance(error, OSError) and error.filename:
        return str(error.filename)
    found = _QUOTED.search(text)
    return found[1] if found else None


def _repair(place: str) -> str:
    return f"neurons repair --warehouse {place}" if place else "neurons repair"


def _explain_number(number: int, path: str) -> StorageError:
    why = os.strerror(number)
    if number in _TOO_MANY:
        return StorageError(
            f"{path} cannot be opened: {why}.",
            f"Nothing is damaged: this process may have {open_file_limit()} files open at once. Allow "
            "more in the same shell (ulimit -n 4096; in a container: --ulimit nofile=4096) and run "
            "the same command again.",
        )
    if number in _DENIED:
        return StorageError(
            f"{path} cannot be opened: {why}.",
            "Nothing is damaged. Give this user the permission, or run as the user who owns it.",
        )
    if number in _FULL:
        return StorageError(
            f"The disk is full: {why}, at {path}.",
            "Nothing is damaged. Free some space and run the same command again; what was finished "
            "is kept.",
        )
    return StorageError(
        f"{path} cannot be read or written: {why}.",
        "The disk, the mount or the connection failed; nothing says that the file is damaged. Look "
        "into the system's log (dmesg) and at the mount, and run the same command again.",
    )


def _explain_memory(text: str, hint: str) -> StorageError:
    return StorageError(
        f"There is not enough memory: {text or 'the system gave none'}.",
        f"Nothing is damaged. {hint}",
    )


def _explain_bound(text: str) -> StorageError:
    """DuckDB's own bounds on memory and on what it spills."""
    if "failed to offload data block" in text:
        bound = re.search(r"/([\d.]+ [KMGT]?i?B) used", text)
        return StorageError(
            f"The query needs more disk than it may spill to{f' ({bound[1]})' if bound else ''}.",
            f"Ask for less at a time, or raise the bound: {SPILL_VARIABLE}=200GB (also neurons "
            "--max-spill 200GB COMMAND). Nothing is damaged.",
        )
    return StorageError(
        f"The query needs more memory than it may use: {text}",
        "Ask for less at a time: fewer layers, units or rows. Nothing is damaged.",
    )


def first_line(error: BaseException) -> str:
    """What is wrong, in one line; of what Python said inside DuckDB, that."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    if not lines[0].startswith("Traceback"):
        return lines[0]
    said = [line for line in lines if re.match(r"[A-Za-z_.]*(Error|Exception)\b", line)]
    return said[-1] if said else lines[-1]
