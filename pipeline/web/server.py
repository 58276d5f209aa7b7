"""Serving the explorer: opening the warehouse, listening, saying where."""

from __future__ import annotations

import socket
import webbrowser

import uvicorn

from pipeline.base.display import complain, say
from pipeline.base.errors import ConfigError
from pipeline.base.explore_settings import ExploreOptions
from pipeline.web.app import make_app
from pipeline.web.door import Door
from pipeline.web.guard import LOOPBACK, is_loopback


def explore(warehouse: str, options: ExploreOptions) -> None:
    """Serve the explorer until it is interrupted.

    Args:
        warehouse: Folder or URL.
        options: Where it listens.

    Raises:
        ConfigError: The address is not free, or is open to others and that was not said; or answers of
            people are to be saved, and it was not said whose.
        WarehouseError: The warehouse cannot be read.
    """
    labeller = _read_labeller(options)
    if not is_loopback(options.host) and not options.expose:
        raise ConfigError(
            f"--host {options.host} can be reached from other machines.",
            "Whoever reaches it sees every image, text and label of the warehouse. If that is meant, "
            "say so: --expose",
        )
    listener = listen(options.host, options.port)
    port = listener.getsockname()[1]
    door = Door(warehouse, holds=True)
    app = make_app(door, _hosts(options), labeller=labeller)
    shown = f"[{options.host}]" if ":" in options.host else options.host
    address = f"http://{shown}:{port}/"
    say(f"Explorer of {warehouse}: {address}", "Ctrl-C ends it.")
    if labeller is not None:
        say(f"What is said under {address}labels is saved as {labeller}'s.")
    if options.expose:
        complain(
            "It answers other machines: they see every image, text and label"
            + (f", and what they say of images is saved as {labeller}'s." if labeller else ".")
        )
    if options.open:
        webbrowser.open(address)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=2
    )
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        door.close()


def _read_labeller(options: ExploreOptions) -> str | None:
    """Under whose name answers are saved; None saves none."""
    labeller = options.labeller.strip()
    if options.write and not labeller:
        raise ConfigError(
            "--write saves what a person says of images, and it is not said who that is.",
            "Add a name: neurons explore --write --labeller NAME",
        )
    if labeller and not options.write:
        raise ConfigError(
            f"--labeller {labeller} is named, but nothing would be saved.",
            "Add --write to save labels into the warehouse, or leave out --labeller.",
        )
    return labeller if options.write else None


def _hosts(options: ExploreOptions) -> frozenset[str]:
    if options.host in ("0.0.0.0", "::"):
        return frozenset(options.names) | LOOPBACK or frozenset("*")
    return LOOPBACK | {options.host, f"[{options.host}]", *options.names}


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Args:
        host: An address of this machine.
        port: 0 takes any that is free.

    Raises:
        ConfigError: The address is not free.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends small answers at once only where the protocol is told; else each waits 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"The explorer cannot listen on {host}, port {port}: {error.strerror or error}.",
            "Another program may have it: choose another with --port, or any free one with --port 0.",
        ) from error
    return listener
