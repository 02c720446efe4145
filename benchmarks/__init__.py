"""What `scripts/benchmark` runs: the models, those who compete, the measurements and the table."""
