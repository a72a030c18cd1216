"""The reference host: a shopping mall's operations system, as small as a real host of Backup Center can be."""
