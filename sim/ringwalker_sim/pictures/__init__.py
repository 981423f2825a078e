"""Pictures of blocks: what the elaborated design joins, and what happens in a simulated run."""
