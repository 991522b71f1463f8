"""Finding one person's data by a value, and erasing it wherever a payload is kept."""
