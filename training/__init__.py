"""Learning: lifters, batches, encodings, losses, the training loop and its files, and the evaluation."""
