"""The mall's own apps, as its operators know them: store, operations and finance.

The catalogues of all installed apps are merged into one, and the mall's has the last word: so texts that may mean
something else elsewhere, such as "Open" or "Expired", are translated in a context.
"""
