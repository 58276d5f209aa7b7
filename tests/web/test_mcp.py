"""The MCP server, asked over standard input and output by the protocol's own client."""

from __future__ import annotations

import base64
import io
import json
import sys
from pathlib import Path

import anyio
import pytest
from PIL import Image
from waiting import LIMIT_S

from pipeline.base.errors import MissingDependencyError
from pipeline.web.mcp_server import make_server

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def test_an_agent_finds_its_way_from_the_runs_to_an_image(tiny_warehouse):
    from mcp import Client, StdioServerParameters

    arguments = ["-m", "pipeline.cli", "mcp", "--warehouse", str(tiny_warehouse)]
    server = StdioServerParameters(
        command=sys.executable, args=arguments, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}
    )

    async def converse():
        async with Client(server, read_timeout_seconds=LIMIT_S) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            assert set(tools) == {
                "list_runs", "list_neurons", "get_neuron", "find_neurons", "get_example", "sql"
            }  # fmt: skip
            assert all(tool.description for tool in tools.values())

            async def call(name, **given):
                return await client.call_tool(name, given)

            (run,) = (await call("list_runs")).structured_content["result"]
            place = {name: run[name] for name in ("dataset", "run_id")}
            layer = run["layers"][0]["layer"]
            page = await call("list_neurons", **place, layer=layer, sort="unit")
            assert page.structured_content["count"] == run["layers"][0]["unit_count"]
            card = (await call("get_neuron", **place, layer=layer, unit=0)).structured_content
            example_id = card["top"][0]["example_id"]
            text, picture = (await call("get_example", **place, example_id=example_id)).content
            assert json.loads(text.text)["example_id"] == example_id
            with Image.open(io.BytesIO(base64.b64decode(picture.data))) as image:
                assert image.format == "WEBP" and image.size == (384, 384)
            answer = (await call("sql", query="select 6 * 7 as n")).structured_content
            assert answer["rows"] == [[42]]
            wrong = await call("sql", query="drop view neuron_labels")
            assert wrong.is_error and "One statement is answered" in wrong.content[0].text
            nowhere = await call("get_neuron", **place, layer=layer, unit=10**6)
            assert nowhere.is_error and "has no unit" in nowhere.content[0].text
            found = await call("find_neurons", concept="no such thing")
            assert found.structured_content["result"] == []

    anyio.run(converse)


def test_without_the_protocols_package_the_command_to_install_it_is_told(
    tiny_warehouse, monkeypatch
):
    monkeypatch.setitem(sys.modules, "mcp.server", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'multimodal-neurons\[mcp\]'"):
        make_server(str(tiny_warehouse))
