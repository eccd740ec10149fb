"""How images were made: quality, dose, protocol."""
