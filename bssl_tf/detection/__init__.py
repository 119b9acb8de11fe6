"""Object detection on a binary backbone: training, scores, export. The command is `bssl-detect`.

Boxes are (y0, x0, y1, x1) throughout, the corner at the top left first: as shares of the image's height and width in
`Annotations` and in the exported file, in pixels of the network's image inside of it.
"""
