"""Everything of Ringwalker that is not hardware: guest memory, guest driver, engines, command line."""
