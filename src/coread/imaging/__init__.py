"""Array numerics that two analyses need: resample, filter, label, register. Arrays in, arrays out."""
