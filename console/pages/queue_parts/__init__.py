"""Parts of the page Queue."""
