"""The explorer on a port of this machine, for tests that need a real browser or real requests."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from waiting import wait_for

from pipeline.web.app import make_app
from pipeline.web.door import Door
from pipeline.web.guard import LOOPBACK
from pipeline.web.thumbs import Thumbnails


@contextmanager
def serve(warehouse: Path, cache: Path, **more: Any) -> Iterator[str]:
    """Its address, until the block ends.

    Args:
        warehouse: What is shown.
        cache: A folder for small images.
        more: Further arguments of ``make_app``.
    """
    door = Door(str(warehouse))
    app = make_app(door, LOOPBACK, Thumbnails(door.store, cache), **more)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            wait_for(lambda: server.started)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(60)
