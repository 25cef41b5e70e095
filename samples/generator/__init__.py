"""Generates car-panel photos with scratches and dents, and the exact boxes of what can be seen."""

from samples.generator.world import FULL_WORLD, STARTER_WORLD, WORLDS, World
from samples.generator.write import ANNOTATIONS_NAME, NamedPhoto, encode, generate, photos

__all__ = [
    "ANNOTATIONS_NAME",
    "FULL_WORLD",
    "STARTER_WORLD",
    "WORLDS",
    "NamedPhoto",
    "World",
    "encode",
    "generate",
    "photos",
]
