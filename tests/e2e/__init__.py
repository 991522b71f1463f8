"""Whole processes: web, worker, supervisor, demo."""
