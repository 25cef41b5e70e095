"""Composition roots, one module per process. Imports are lazy, so that no process starts slowly."""
