"""Takes figures and verdicts. Gives charts, tables and pages; the same records give the same bytes."""
