"""Pictures of blocks: what is joined to what in the elaborated design, and what happens in a simulated run."""
