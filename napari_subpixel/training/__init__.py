"""Learn from samples, or go on learning."""
