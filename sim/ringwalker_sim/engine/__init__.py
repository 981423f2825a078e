"""What carries out a job: the device in hardware, two ways, and a model of it in Python."""
