"""What a run of the checks comes to: outcomes, reports, and the page about known devices."""
