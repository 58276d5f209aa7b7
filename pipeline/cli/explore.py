"""The commands ``neurons explore`` and ``mcp``: a page for each neuron in the browser, tools for an agent."""

from __future__ import annotations

import typer

from pipeline.base.explore_settings import ExploreOptions
from pipeline.cli.options import Warehouse, examples, settings_as_options


def add_commands(app: typer.Typer) -> None:
    """Give the command line this command."""
    app.command(
        epilog=examples(
            "neurons explore --warehouse warehouse",
            "neurons explore --port 0 --open --warehouse warehouse",
            "neurons explore --write --labeller ada --warehouse warehouse",
        )
    )(explore)
    app.command(epilog=examples("neurons mcp --warehouse warehouse"))(mcp)


@settings_as_options()
def explore(warehouse: Warehouse, options: ExploreOptions) -> None:
    """Look at neurons in the browser.

    Serves a page for each run, layer and neuron of the warehouse on this machine until it is interrupted.
    Nothing is fetched from elsewhere, and the warehouse is not changed, but by labels of people if --write is
    given.
    """
    from pipeline.web.server import explore as serve

    serve(warehouse, options)


def mcp(warehouse: Warehouse) -> None:
    """Answer an agent's questions about neurons.

    Serves the Model Context Protocol over standard input and output: lists and cards of neurons, images, SQL.
    The warehouse is not changed, and nothing is fetched from elsewhere. An agent's program starts this itself.
    """
    from pipeline.web.mcp_server import serve_mcp

    serve_mcp(warehouse)
