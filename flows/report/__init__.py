"""The page that shows an experiment: results become a view of plain values, the view one HTML file."""
