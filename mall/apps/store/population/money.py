from decimal import Decimal


def yuan(amount: float) -> Decimal:
    """Rounded to the fen. From an integer, since Decimal parses a float's or a string's digits one by one."""
    return Decimal(round(amount * 100)).scaleb(-2)
