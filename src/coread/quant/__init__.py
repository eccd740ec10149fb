"""Measurements on images: volumetry, lung, radiomics."""
