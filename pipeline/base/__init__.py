"""What every room stands on: errors, settings, files and places, progress, what people see."""
