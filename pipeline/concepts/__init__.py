"""What examples show: the lexicon of concepts that their texts are matched against."""
