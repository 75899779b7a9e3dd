"""In which order a person sees the options: balanced within each person, in permuted blocks of four.

Within every block of four showings each option stands before each other one exactly twice (a block is two
orders and their two reverses, shuffled), so a preference for a side shows after few answers and cancels in
the mean.
"""

from hashlib import sha256

BLOCK = 4


def shown_order(seed: int, annotator: str, count: int, position: int) -> tuple[int, ...]:
    """The order for this person's showing number `position` (from 0) among those with `count` options.

    A pure function of its arguments, by SHA-256 rather than a generator whose stream may change between
    versions: the same store shows the same orders for ever, whichever database it lives in.
    """
    block, place = divmod(position, BLOCK)
    name = f"{seed}/{count}/{block}/{annotator}"
    orders = []
    for half in range(BLOCK // 2):
        order = _permutation(f"order {half}/{name}", count)
        orders += [order, order[::-1]]
    return orders[_permutation(f"block/{name}", BLOCK)[place]]


def _permutation(name: str, count: int) -> tuple[int, ...]:
    """Every permutation of `count` places equally likely over names."""
    return tuple(sorted(range(count), key=lambda place: sha256(f"{place}/{name}".encode()).digest()))
