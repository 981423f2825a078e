"""A block device as the checks use it: requests and zones."""
