"""Labels by people: sheets out, answers back in."""
