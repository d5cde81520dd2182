"""Measure promptflow's serving, release by release, and report what was measured."""
