"""What happened in a run, event by event: where a request was when, for a person and for a report."""
