"""The explorer: one HTML file in which a reader sorts, filters and compares what is recorded."""
