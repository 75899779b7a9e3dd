"""What other processes do to a store in the tests; every one opens the store for itself."""

import sys

from plaudit.storage import open_store
from tests.storage.asking import reply


def work(address: str, person: str) -> list[tuple[int, int, int]]:
    """Claim and submit until nothing is left: (question, answer, seq) of every receipt."""
    store = open_store(address)
    done = []
    while (query := store.claim(person, 600.0)) is not None:
        receipt = store.submit(reply(query, person, f"{person}/{query.id}"))
        done.append((query.id, receipt.response_id, receipt.seq))
        assert len(store.answers()) >= receipt.seq
    store.close()
    return done


def stream(address: str, person: str) -> None:
    """Claim and submit until killed; print every receipt once it is there."""
    store = open_store(address)
    while (query := store.claim(person, 600.0)) is not None:
        receipt = store.submit(reply(query, person, f"{person}/{query.id}"))
        print(f"{person}/{query.id}", receipt.response_id, receipt.seq, receipt.sha256, flush=True)


def make(address: str, seed: int) -> list[str]:
    """Open a store that may not be there yet."""
    store = open_store(address, seed)
    store.enqueue([])
    shown = [str(store.pin_cursor("trainer", 0))]
    store.close()
    return shown


if __name__ == "__main__":
    stream(sys.argv[1], sys.argv[2])
