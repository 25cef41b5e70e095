"""The demo: one whole loop of the platform, driven from outside by its commands and its HTTP API only."""
