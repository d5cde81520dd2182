"""Takes figures and verdicts. Gives Markdown tables, CSV and the texts around them."""
