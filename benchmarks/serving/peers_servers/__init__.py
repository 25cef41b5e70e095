"""Servers of other libraries, each written as its own documentation shows, all on the same weights.

They read `PEER_WEIGHTS` (what ultralytics loads), `PEER_IMAGE_SIZE` and, where the command line says no port,
`PEER_PORT`.
"""
