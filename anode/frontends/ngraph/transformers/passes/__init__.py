"""Passes that look at the ops of a computation before it is compiled.

Rewriting is done after lowering, by `anode.passes`.
"""
