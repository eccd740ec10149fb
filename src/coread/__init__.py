"""CoRead: the radiologist's second reader."""
