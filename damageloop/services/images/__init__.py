"""From a file to an image that can be chosen: ingest, scoring, features, duplicates, and forgetting."""
