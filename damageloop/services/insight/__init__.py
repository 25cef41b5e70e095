"""Figures for people: estimates, stopping advice, lists."""
