"""Reference devices: golden models with features that the device lacks, for tests of the suite."""
