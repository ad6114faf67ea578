"""Bodies rendered softly, so that silhouettes and part masks can be compared with poses by gradients."""
