"""Tests of the generator of sample photos."""
