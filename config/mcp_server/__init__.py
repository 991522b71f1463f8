"""The Model Context Protocol: what an assistant may read, and propose, by the API and with a token (docs/mcp.md)."""
