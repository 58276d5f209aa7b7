"""What went wrong, in words, and the exit status that says so."""

from __future__ import annotations

import errno
import io
import traceback
from typing import Any

import typer

from pipeline.base.display import complain
from pipeline.base.errors import NeuronsError, StorageError
from pipeline.base.faults import explain_fault
from pipeline.warehouse.interrupts import STATUS as INTERRUPTED
from pipeline.warehouse.interrupts import is_interrupted

_NO_SUCH_PLACE = (errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.ELOOP)
"""What the system says of a path that cannot be meant."""
_OBJECT_STORES = ("botocore", "aiobotocore", "s3fs", "aiohttp", "gcsfs", "adlfs")
"""Packages whose errors are about a place on a network."""
_USAGE_ERROR: Any = next(k for k in typer.BadParameter.__mro__ if k.__name__ == "ClickException")
"""What wrong arguments raise. Newer versions of typer bring a click of their own: ask typer."""


def explain(error: BaseException) -> int:
    """Say what is wrong; the exit status."""
    if is_interrupted() or isinstance(error, KeyboardInterrupt | typer.Abort):
        return INTERRUPTED
    if isinstance(error, _USAGE_ERROR):
        usage = io.StringIO()
        error.show(usage)
        complain(usage.getvalue().rstrip("\n"))
        return 2
    if isinstance(error, NeuronsError):
        complain(f"{type(error).__name__}: {error}")
        return 2
    if not isinstance(error, Exception):
        raise error
    told = None if isinstance(error, FileNotFoundError) else explain_fault(error, "")
    if isinstance(error, OSError) and error.errno in _NO_SUCH_PLACE:
        told = StorageError(f"{error.filename}: {error.strerror}.", "Check the path that you gave.")
    if type(error).__module__.split(".")[0] in _OBJECT_STORES:
        told = StorageError(
            f"The object store does not answer as it should: {str(error).rstrip('.')}.",
            "Check the URL, and credentials and region in the environment (AWS_ACCESS_KEY_ID, ...).",
        )
    if told is not None:  # wherever a limit, a permission or a broken disk was met
        complain(f"{type(told).__name__}: {told}")
        return 2
    complain("".join(traceback.format_exception(error)).rstrip("\n"))
    return 3  # a bug of ours: never to be taken for "checks failed"
