"""The explorer's answers as records: what ``/api`` and the MCP server give."""
