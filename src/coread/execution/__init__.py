"""Where jobs run: here, in a worker process, on a cluster."""
