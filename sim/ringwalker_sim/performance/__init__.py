"""What the device reaches of what its link allows: cases, measurement, and how figures are shown."""

from .cases import CHECK, FULL, QUICK, Case
from .measure import measure

__all__ = ["CHECK", "FULL", "QUICK", "Case", "measure"]
