"""Each module has one thing; `pyproject.toml` says what it is called."""
