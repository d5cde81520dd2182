"""Takes figures and verdicts. Gives Markdown tables, CSV and the words around them."""
