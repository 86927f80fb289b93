"""One script a claim. Each prints the machine, its command and ratios measured side by side in one run."""
