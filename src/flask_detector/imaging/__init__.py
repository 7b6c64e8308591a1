"""A picture file → upright RGB pixels → a picture file. Knows no Flask, Redis or RQ.

The way in is `decode.load`, step by step:

1. `sniff`: which format the first bytes tell, or what else the file is.
2. `open_picture`: the header, within the `limits`. Of a PNG, GIF or TIFF only what the pixels need comes to a
   reader (`png_chunks`, `gif_blocks`, `tiff_pages`): Pillow, or libvips for what it can not (`rare_kinds`).
3. `large_pictures`: how much memory decoding takes, which is asked for first.
4. `jpeg_scans`, `png_chunks`: whether all pixels are there; a small JPEG is decoded while that is checked.
5. `pixels`: upright and in RGB (`rgb`), some rows at a time; large ones from a temporary file
   (`large_pictures`), which a process of its own fills where that takes much memory (`isolated`).

The way out is `encode`, for large pictures through `vips`.
"""
