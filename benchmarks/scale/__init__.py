"""What 100 million images need, from rates measured here."""
