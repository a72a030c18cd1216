"""One package per database engine; the same file names in each: connection, catalog, reading, replacing."""
