"""Training: learn from samples, anew or to fine-tune a model."""
