"""This project's sidecar and commands against those that people take instead, on one machine: `make bench-peers`."""
