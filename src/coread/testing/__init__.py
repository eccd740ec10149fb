"""For plug-in authors and tests: conformance suite, phantoms, the simulated demo library."""
