"""What commands and tests give to an engine: jobs, runs and traffic, always verified."""
