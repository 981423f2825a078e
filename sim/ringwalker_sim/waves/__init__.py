"""Waveforms: layouts for viewers, and FST files."""
