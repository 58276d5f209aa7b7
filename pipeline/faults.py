"""What a failed read or write means: a limit, a permission, a broken disk, a file that is gone, damage.

Only damage is told as damage, since its cure makes files again. Everything else leaves the files as
they are, and the message says so. The system's own words are the same in `OSError` and in what DuckDB
and Arrow pass on, so one table serves them all.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import NeuronsError, StorageError, WarehouseError
from pipeline.open_files import open_file_limit

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

# What DuckDB's Parquet reader says of bytes that are not what they were (each was seen, by flipping
# bits and cutting files); what its decoders throw arrives as a plain duckdb.Error.
_DAMAGE = re.compile(
    "magic bytes|too small to be a Parquet|decompression fail|is corrupt|[Cc]hecksum|"
    "Could not read enough bytes|Failed to read (Parquet )?file|Incorrect stats|Prefetch registered|"
    "Unexpected end of stream|[Cc]orrupt|[Tt]hrift"
)
_NO_FILES = "No files found that match the pattern"
_QUOTED = re.compile(r"""["']([^"']*/[^"']*)["']""")


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
    if _name(error) == "torch.OutOfMemoryError" or "DefaultCPUAllocator" in text:
        return _explain_memory(text, "Give a smaller --batch-size.")
    if _name(error) == "duckdb.OutOfMemoryException" and number not in _FULL:
        return _explain_bound(text)
    if number == errno.ENOENT or _NO_FILES in text:
        return WarehouseError(f"{path} is gone.", f"Make it again with: {_repair(place)}")
    if number is not None:
        return _explain_number(number, path)
    is_decoder = _name(error) in ("duckdb.Error", "pyarrow.ArrowInvalid")
    if is_decoder or (_can_be_damage(error) and _DAMAGE.search(text)):
        return WarehouseError(
            f"A file{f' of {place}' if place else ''} is damaged: {text}",
            f"See which with: neurons check --deep. Make it again, and only it, with: {_repair(place)}",
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


def _can_be_damage(error: BaseException) -> bool:
    return isinstance(error, OSError) or _name(error).startswith(("duckdb.", "pyarrow."))


def _find_number(error: BaseException) -> int | None:
    """The system's number for what went wrong, told or only in words; None if it is no such thing."""
    if isinstance(error, OSError) and error.errno:
        return error.errno if error.errno in _TOLD else None
    if not _can_be_damage(error):
        return None
    return max(
        (number for number in _TOLD if os.strerror(number) in str(error)),
        key=lambda number: len(os.strerror(number)),  # some begin with another
        default=None,
    )


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
