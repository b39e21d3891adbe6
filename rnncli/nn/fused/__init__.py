"""Fused CPU kernels of recurrent layers and their autograd functions."""
