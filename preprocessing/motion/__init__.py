"""Motion that may be used freely, and its staging before the true cameras of both data sets."""
