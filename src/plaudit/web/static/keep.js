// What must outlive the page: records in IndexedDB, else in localStorage, else in memory with a warning.

/**
 * @typedef {{
 *   durable: boolean,
 *   all(shelf: string): Promise<any[]>,
 *   add(shelf: string, record: any): Promise<number>,
 *   change(puts: [string, any][], removes: [string, IDBValidKey][]): Promise<void>,
 * }} Keep
 */

/** Each shelf and the field its records are known by; `n` counts up by itself and gives the order. */
export const SHELVES = { outbox: "n", receipts: "client_uuid" };

/** The best place this browser offers. @returns {Promise<Keep>} */
export async function openKeep() {
  try {
    return inDatabase(await openDatabase());
  } catch {
    try {
      localStorage.setItem("plaudit-try", "1");
      localStorage.removeItem("plaudit-try");
      return inStorage(localStorage, true);
    } catch {
      return inStorage(new MemoryStorage(), false);
    }
  }
}

/** @returns {Promise<IDBDatabase>} */
function openDatabase() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("plaudit", 1);
    request.onupgradeneeded = () => {
      for (const [shelf, keyPath] of Object.entries(SHELVES)) {
        request.result.createObjectStore(shelf, { keyPath, autoIncrement: keyPath === "n" });
      }
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error("blocked"));
  });
}

/** @param {IDBDatabase} database @returns {Keep} */
function inDatabase(database) {
  const within = (shelves, mode, work) =>
    new Promise((resolve, reject) => {
      // strict: done means on the disk, not in a cache of the system
      const transaction = database.transaction(shelves, mode, { durability: "strict" });
      const request = work(transaction);
      transaction.oncomplete = () => resolve(request?.result);
      transaction.onabort = () => reject(transaction.error);
    });
  return {
    durable: true,
    all: (shelf) => within([shelf], "readonly", (transaction) => transaction.objectStore(shelf).getAll()),
    add: (shelf, record) => within([shelf], "readwrite", (transaction) => transaction.objectStore(shelf).add(record)),
    change: (puts, removes) =>
      within(Object.keys(SHELVES), "readwrite", (transaction) => {
        for (const [shelf, record] of puts) transaction.objectStore(shelf).put(record);
        for (const [shelf, key] of removes) transaction.objectStore(shelf).delete(key);
      }),
  };
}

/** @param {Storage | MemoryStorage} storage @param {boolean} durable @returns {Keep} */
function inStorage(storage, durable) {
  const place = (shelf, key) => `plaudit-${shelf}/${String(key).padStart(12, "0")}`;
  const names = (shelf) => {
    const found = Array.from({ length: storage.length }, (_, index) => storage.key(index) ?? "");
    return found.filter((name) => name.startsWith(`plaudit-${shelf}/`)).sort();
  };
  return {
    durable,
    all: async (shelf) => names(shelf).map((name) => JSON.parse(storage.getItem(name) ?? "null")),
    add: async (shelf, record) => {
      const last = names(shelf).pop();
      const n = last ? Number(last.split("/")[1]) + 1 : 1;
      storage.setItem(place(shelf, n), JSON.stringify({ ...record, n }));
      return n;
    },
    change: async (puts, removes) => {
      for (const [shelf, record] of puts) {
        storage.setItem(place(shelf, record[SHELVES[shelf]]), JSON.stringify(record));
      }
      for (const [shelf, key] of removes) storage.removeItem(place(shelf, key));
    },
  };
}

/** As much of Storage as is used here, for a browser that keeps nothing. */
class MemoryStorage {
  /** @type {Map<string, string>} */
  #items = new Map();

  get length() {
    return this.#items.size;
  }

  /** @param {number} index */
  key(index) {
    return [...this.#items.keys()][index] ?? null;
  }

  /** @param {string} name */
  getItem(name) {
    return this.#items.get(name) ?? null;
  }

  /** @param {string} name @param {string} value */
  setItem(name, value) {
    this.#items.set(name, value);
  }

  /** @param {string} name */
  removeItem(name) {
    this.#items.delete(name);
  }
}
