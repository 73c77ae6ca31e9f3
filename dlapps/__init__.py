"""Train, understand and ship vision and sequence models from one command line."""
