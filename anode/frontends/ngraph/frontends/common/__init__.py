"""What ngraph's frontends share: learning-rate policies, sizes of convolutions."""
