"""The frontends of ngraph: `ngraph.frontends.neon` and what they share."""
