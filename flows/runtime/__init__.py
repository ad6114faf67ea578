"""Where experiments run: Prefect, logs, retries, training slots, clusters, progress bars."""
