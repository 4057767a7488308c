"""One run on several nodes, which Dask connects: docs/decisions/0023-one-run-on-several-nodes.md."""
