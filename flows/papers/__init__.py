"""Published experiments: their settings with where each is from, their figures, and what comes out here."""
