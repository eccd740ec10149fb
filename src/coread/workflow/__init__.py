"""Use cases: ingest, run analyzers, second reading, export."""
