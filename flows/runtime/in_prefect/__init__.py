"""Prefect's side of a run: its tasks, artifacts, events, logs, bars and limits."""
