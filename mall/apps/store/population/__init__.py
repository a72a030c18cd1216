"""A made-up mall: the same seed gives the same rows, to the microsecond.

One module per concern. Each concern draws from its own stream of random numbers, so that more finance records don't
change the shops.
"""
