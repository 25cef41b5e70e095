"""Proof by chaos: a real platform at work, struck by a seeded schedule of faults; afterwards nothing is lost.

`python -m tests.chaos --seed 1 --faults 20` (or `make test-chaos`). No suite collects this folder; the end-to-end
suite calls it.
"""
