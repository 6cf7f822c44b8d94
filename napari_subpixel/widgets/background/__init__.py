"""What runs beside the window: detection, evaluation, batch, and the thread that they run on."""
