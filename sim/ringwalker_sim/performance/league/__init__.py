"""Simulators of one device beside each other: a run is recorded, and all replay it."""

from .interpreted import no_icarus
from .table import LEAGUE_CASE, league_rows, league_table, record_case

__all__ = ["LEAGUE_CASE", "league_rows", "league_table", "no_icarus", "record_case"]
