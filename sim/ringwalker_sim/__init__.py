"""Everything of Ringwalker that is not hardware: guest memory, the guest driver, the engines, the command line."""
