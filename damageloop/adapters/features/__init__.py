"""The feature store: append-only Parquet parts below a folder or an fsspec URL."""
