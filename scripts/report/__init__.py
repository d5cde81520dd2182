"""The reporting half: pure functions from records to tables, charts and pages. Never imports `measure`."""
