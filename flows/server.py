"""Prefect's server: is it there before a flow begins, and what to do without it once it is lost.

A flow whose server dies does its work to the end: tasks run here, and what is done stands in the
warehouse. Only what a person would have seen in Prefect's pages is missing then. So nothing that is
merely shown may fail or hold up the work: it goes through `show_if_there`.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeVar, cast

import httpx
from prefect import Flow
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, get_current_settings

from pipeline.base.display import show
from pipeline.base.errors import StorageError
from pipeline.base.secrets import hide_credentials

ANSWER_WITHIN_S = 5.0
"""Seconds that the server has to say that it is there."""

Result = TypeVar("Result")
AnyFlow = TypeVar("AnyFlow", bound=Flow[Any, Any])

_results: ContextVar[list[Any] | None] = ContextVar("results", default=None)


class _Server:
    """What this process knows of its server."""

    is_lost = False
    settings: tuple[int, bool] | None = None
    """Prefect's retries and whether it sends logs, from before the server was lost."""


_NOISY = ("prefect.events.clients", "prefect._internal.concurrency", "EventsWorker")
"""Loggers that would say for each event that the server is lost."""


def check_server() -> None:
    """Refuse to begin where ``PREFECT_API_URL`` names a server that does not answer.

    Without that setting Prefect starts a server of its own for the flow.

    Raises:
        StorageError: Says which server, and how to start one.
    """
    _try_again()
    url = PREFECT_API_URL.value()
    if not url:
        return
    try:
        answer = httpx.get(f"{str(url).rstrip('/')}/health", timeout=ANSWER_WITHIN_S)
        problem = f"it answers {answer.status_code}" if _is_no_server(answer) else ""
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        problem = str(error) or type(error).__name__
    if problem:
        raise StorageError(
            f"There is no Prefect server at PREFECT_API_URL="
            f"{show(hide_credentials(str(url)))}: {show(problem)}.",
            "Start one in a terminal of its own: prefect server start. Or unset PREFECT_API_URL "
            "(prefect config unset PREFECT_API_URL): then one is started for this flow alone. "
            "neurons run FILE does the same work without Prefect.",
        )


def _is_no_server(answer: httpx.Response) -> bool:
    return answer.status_code == 404 or answer.status_code >= 500


def show_if_there(call: Callable[..., Result], *args: Any, **options: Any) -> Result | None:
    """Call what shows something in Prefect's pages; None, and a warning once, if the server is lost.

    Args:
        call: A function of Prefect that asks the server.
        args: Its arguments.
        options: Its keyword arguments.
    """
    if _Server.is_lost:
        return None
    try:
        return call(*args, **options)
    except httpx.TransportError as error:
        _lose(error)
        return None


def _lose(error: httpx.TransportError) -> None:
    """Say so once, and let Prefect try no more: it would do so for seconds with each request and event."""
    if not _Server.is_lost:
        _Server.is_lost = True
        now = get_current_settings()
        _Server.settings = now.client.max_retries, now.logging.to_api.enabled
        # In place: its threads have copies of the context, with the same settings in them.
        now.client.max_retries, now.logging.to_api.enabled = 0, False
        for worker in list(cast(Any, EventsWorker)._instances.values()):
            if isinstance(worker, EventsWorker):
                vars(worker._client)["_reconnection_attempts"] = 0
        for name in _NOISY:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        logging.getLogger("pipeline").warning(
            "Prefect's server is lost (%s). The work goes on; its pages will not show the rest.",
            show(str(error)),
        )


def _try_again() -> None:
    """As before the server was lost, if it was."""
    if _Server.settings is not None:
        now = get_current_settings()
        now.client.max_retries, now.logging.to_api.enabled = _Server.settings
        for name in _NOISY:
            logging.getLogger(name).setLevel(logging.NOTSET)
    _Server.is_lost, _Server.settings = False, None


class GuardedFlow(Flow[Any, Any]):
    """A flow that begins only where its server answers, and ends soon if it is lost on the way."""

    def __call__(self, *args: Any, **parameters: Any) -> Any:
        """Run the flow.

        Raises:
            StorageError: There is no server; or it was lost, and the flow failed.
        """
        check_server()
        results: list[Any] = []
        token = _results.set(results)
        try:
            return super().__call__(*args, **parameters)
        except httpx.TransportError as error:
            _lose(error)
            if results:
                return results[-1]  # all is done; only the server could not be told
            raise StorageError(
                f"Prefect's server was lost, and the flow {self.name!r} did not end well.",
                "What was finished stands in the warehouse. Start the server and run the flow again: "
                "it does what is left.",
            ) from error
        finally:
            _results.reset(token)

    def with_options(self, **options: Any) -> GuardedFlow:
        """The same flow with other options."""
        changed: Any = super().with_options(**options)
        changed.__class__ = GuardedFlow
        return cast(GuardedFlow, changed)


def keep_result(result: Result) -> Result:
    """Keep what a flow's work came to, for the case that the server cannot be told."""
    if (results := _results.get()) is not None:
        results.append(result)
    return result


def guarded(made: AnyFlow) -> AnyFlow:
    """Make a flow a `GuardedFlow`: a decorator, above ``@flow``."""
    work, changed = made.fn, cast(Any, made)

    @functools.wraps(work)
    def remember(*args: Any, **parameters: Any) -> Any:
        # Looked up when it runs: task runners in other processes are sent this function whole.
        from flows.server import keep_result

        return keep_result(work(*args, **parameters))

    # Types, not their names: Prefect would look the names up in this module.
    cast(Any, remember).__signature__ = inspect.signature(work, eval_str=True)
    changed.fn = remember
    changed.__class__ = GuardedFlow
    return made
