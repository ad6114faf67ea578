"""The page that shows an experiment: results to a view (plain values), the view to one self-contained HTML file."""
