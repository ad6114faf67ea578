"""The page that shows poses in motion: an evaluation or a prediction becomes clips, the clips one HTML file."""
