"""`anode.layers` is the layers frontend, the main way to write a model."""

import sys

import anode.frontends.layers

sys.modules[__name__] = anode.frontends.layers
