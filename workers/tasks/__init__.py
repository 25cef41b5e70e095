"""Thin tasks: parse ids, call one service. Each is safe to run twice."""
