"""Raw releases into trials: readers and writers of both data sets, motion to restage, and the ingest."""
