"""How fast the lists behind the console's pages are with many images: `python -m benchmarks.console`."""
