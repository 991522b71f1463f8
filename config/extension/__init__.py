"""What packages that extend Hookdesk may import: one module for each version of the interface (docs/extending.md)."""
