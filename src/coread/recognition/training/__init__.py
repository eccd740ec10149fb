"""Training of the models in this room; everything here needs the extra ``train`` (torch)."""
