"""Measure how promptflow serves flows, release by release, and report what was measured."""
