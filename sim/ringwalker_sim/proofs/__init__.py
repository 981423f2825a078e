"""Properties of blocks that are proved, not tested: what each says, its proof, and a fault that breaks it."""
