"""For plug-in authors and tests: conformance suite, phantoms, the simulated demo library."""

from coread.testing.conformance import ConformanceError, check_analyzer

__all__ = ["ConformanceError", "check_analyzer"]
