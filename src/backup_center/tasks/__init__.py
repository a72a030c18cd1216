"""Between the services and whatever runs work in the background."""
