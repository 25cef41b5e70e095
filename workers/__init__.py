"""Celery workers: thin tasks, and the stages that DVC runs."""
