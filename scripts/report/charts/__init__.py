"""Takes series of figures. Gives pictures as SVG, in light and dark; nothing else knows matplotlib."""
