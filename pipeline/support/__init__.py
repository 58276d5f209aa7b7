"""Fresh images, on which no label rests: what labelled neurons answer to them."""
