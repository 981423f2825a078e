"""A run as one HTML file: figures, latencies, where the cycles went, and what was on the link when."""
