"""`ngraph.util`: names and files."""
