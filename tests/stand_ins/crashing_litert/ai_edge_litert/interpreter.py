"""An inference engine that takes its process along with the first picture."""

import os

import numpy as np


class Interpreter:
    def __init__(self, **_):
        pass

    def allocate_tensors(self):
        pass

    def get_input_details(self):
        return [{"index": 0}]

    def get_output_details(self):
        return []

    def set_tensor(self, index, picture):
        assert np.ndim(picture) == 4

    def invoke(self):
        os.abort()
