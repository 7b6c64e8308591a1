"""A picture file → upright RGB pixels → a picture file. Knows no Flask, Redis or RQ."""
