"""Takes everything that was read and derived. Gives whole pages, by path below results/."""
