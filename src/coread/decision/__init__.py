"""Advice from findings: worklist order, guideline rules, differential diagnosis."""
