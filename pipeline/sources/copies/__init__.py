"""Which images are copies of an earlier one."""
