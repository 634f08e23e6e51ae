"""When a compensation is trusted, and how strongly: transforms of what it adds to the rewards."""
