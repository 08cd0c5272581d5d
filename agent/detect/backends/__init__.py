"""Inference engines behind one small interface; only the detect process imports them."""
