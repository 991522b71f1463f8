"""Finding deliveries, events and records by what is in them: `finding.search`. The index is filled by `indexing`."""
