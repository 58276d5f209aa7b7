"""What people wrote about an image, whatever wrote it down and however."""
