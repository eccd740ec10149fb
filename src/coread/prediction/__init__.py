"""Tables of features into risk, response and survival, calibrated and explained."""
