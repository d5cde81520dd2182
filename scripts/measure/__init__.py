"""The measuring half: starts processes, uses loopback, and ends in records. Never imports `report`."""
