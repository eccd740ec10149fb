"""Simulated studies: a CT scanner, a chest film, and the demo library made with both."""

from coread.testing.demo.ct import Scanner, simulate_ct
from coread.testing.demo.library import DemoLibrary, make_demo_library
from coread.testing.demo.radiograph import Film, FilmSettings, simulate_film

__all__ = [
    "DemoLibrary",
    "Film",
    "FilmSettings",
    "Scanner",
    "make_demo_library",
    "simulate_ct",
    "simulate_film",
]
