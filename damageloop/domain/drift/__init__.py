"""Drift: samples and their columns, when a difference is one, what an event is, and what is done about it. Pure."""
