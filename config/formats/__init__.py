"""How dates are written: one style for the desk and for the pages that Django brings."""
