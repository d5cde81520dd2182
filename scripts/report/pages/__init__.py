"""Takes runs, verdicts and tables. Gives whole pages, by path below results/, and what sessions print."""
