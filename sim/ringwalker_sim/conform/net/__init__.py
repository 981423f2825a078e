"""A network device as the checks use it, and what the specification says of packets and flows."""
