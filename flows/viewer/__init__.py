"""The page that shows poses in motion: what was predicted becomes clips, the clips one HTML file."""
