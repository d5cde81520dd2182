"""What joins machines to a cluster: Dask's scheduler, workers and client, and the certificates between them."""
