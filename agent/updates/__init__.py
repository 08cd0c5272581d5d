"""Updates of the box image: what is asked, the bundle's way onto the box, and what came of it.

The agent fetches and asks; it has no right to install. `poleside-update` and `poleside-trial` of
the image (see `image-build/`) verify, install, judge and leave the outcome, which is read here.
"""
