"""Copies a whole database into another one, perhaps of another kind, and proves that it is the same."""

from config.database_copy.copying import CopyError, TableReport, copy_database, open_target

__all__ = ["CopyError", "TableReport", "copy_database", "open_target"]
