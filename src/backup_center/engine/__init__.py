"""The engine: tables → chunks → archive → manifest, and back.

It knows no settings, no HTTP and no model; it takes frozen dataclasses and open connections, and returns or raises.
"""
