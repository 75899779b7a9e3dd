"""Rows of files people have, each with its place: JSON lines, a JSON list of mappings, CSV; and rows written back.

What is written reads back, and writing that again gives the same bytes. A file may be packed with gzip, whatever its
name says. A byte order mark, Windows line ends and empty lines do no harm.
"""

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from plaudit.errors import PlauditError

MESSAGE_FIELDS = ("messages", "chosen", "rejected", "prompt", "completion")
"""Columns of a CSV file that may hold a list of messages, written as JSON."""
MESSAGES = re.compile(r"""\s*\[\s*\{[^{}]*["'](role|content)["']\s*:""")
"""How a list of messages begins. Other text in brackets, such as `[INST]` or `[1, 2]`, is text."""
MARKED, UNMARKED = ("true", "1", "1.0"), ("false", "0", "0.0", "", "none", "null", "nan")
"""How `held_out` reads in any case; a table with gaps turns it into numbers."""
ESCAPED_HALF = re.compile(r"\\u[dD][89a-fA-F]")


def write_lines(rows: Iterable[dict[str, Any]], path: Path) -> int:
    """Write rows to a new .jsonl or .jsonl.gz file; returns how many."""
    if path.exists():
        raise PlauditError(f"{path}: exists already; give another name")
    lines = [
        json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n" for row in rows
    ]
    for number, line in enumerate(lines, 1):
        if not line.isascii():
            _refuse_halves(line, f"{path}, line {number}")
    data = "".join(lines).encode()
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
        partial.rename(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise PlauditError(f"{path}: cannot be written ({error.strerror}); choose another place") from error
    return len(lines)


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file; see `numbered`."""
    for _, row in numbered(path):
        yield row


def numbered(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row with its place, such as "pairs.jsonl, line 7" or "pairs.json, entry 7"; both count from 1.

    The name says how to read: .json (a list of mappings), .csv (a header, then rows; in the MESSAGE_FIELDS a list of
    messages is parsed as JSON, every other cell is text), anything else one JSON mapping a line; each also with .gz
    behind. Raises PlauditError, naming the place, for what is missing, damaged, not UTF-8 or no mapping, and for text
    with half a surrogate pair, which no file could hold.
    """
    text = whole_text(path)
    ending = Path(path.name.removesuffix(".gz")).suffix
    if ending == ".csv":
        return _of_csv(text, path)
    if ending == ".json" and not _one_a_line(text):
        return _of_list(text, path)
    return _of_lines(text, path)


def training_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows from which something may be learned: `numbered` without those that are `held_out`.

    An export marks so what measures instead: held-out judgements, and questions that were put to somebody again. Other
    programs write true as the text True, or as 1. Raises PlauditError for what is neither true nor false.
    """
    return ((where, row) for where, row in numbered(path) if not _held_out(row.get("held_out"), where))


def _held_out(said: object, where: str) -> bool:
    """Whether a mark in whatever form says so; learning from a row whose mark was misread would spoil a measure."""
    word = str(said).strip().lower()
    if word not in MARKED and word not in UNMARKED:
        raise PlauditError(f"{where}: `held_out` is {said!r}; write true or false, or drop the column")
    return word in MARKED


def finished(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row of JSON lines that a process adds to, with its place, as `numbered` gives them.

    What follows the last line end is left out: the process is at it, or was killed in the middle of it.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PlauditError(f"{path}: not readable ({error.strerror}); give a file that is there") from None
    return _of_lines(data[: data.rfind(b"\n") + 1].decode("utf-8", "replace"), path)


def whole_text(path: Path) -> str:
    """The text of a file, unpacked where it is packed with gzip, without a byte order mark."""
    if path.suffix == ".parquet":
        raise PlauditError(
            f"{path}: Parquet is not read here; convert it to JSON lines, with pandas: "
            f"pandas.read_parquet({path.name!r}).to_json({path.stem + '.jsonl'!r}, orient='records', lines=True)"
        )
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        return data.decode().removeprefix("\ufeff")
    except FileNotFoundError:
        raise PlauditError(f"{path}: no such file; give the path of a file that is there") from None
    except UnicodeDecodeError as error:
        code = "utf-16" if error.object[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin1"
        raise PlauditError(
            f"{path}: not UTF-8 text (byte {error.start} of it is 0x{error.object[error.start]:02x}); convert it, "
            f"perhaps with `iconv -f {code} -t utf-8`"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise PlauditError(f"{path}: not readable ({error}); give a whole file of text") from None


def _one_a_line(text: str) -> bool:
    """Whether a .json file holds lines after all, as many do: its first line is a whole mapping."""
    try:
        return isinstance(json.loads(text.lstrip().partition("\n")[0]), dict)
    except (ValueError, RecursionError):
        return False


def _of_lines(text: str, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            where = f"{path}, line {number}"
            row = _parsed(line, where)
            if not isinstance(row, dict):
                raise PlauditError(f"{where}: a line holds one mapping, not {type(row).__name__}")
            yield where, row


def _of_list(text: str, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        rows = json.loads(text)
    except json.JSONDecodeError as error:
        raise PlauditError(
            f"{path}, line {error.lineno}: not JSON ({error.msg} at column {error.colno}); mend it"
        ) from None
    except (RecursionError, ValueError) as error:  # too deep; a number of too many digits
        raise PlauditError(f"{path}: not JSON that can be read ({error}); mend it") from None
    if not isinstance(rows, list):
        raise PlauditError(
            f"{path}: holds one {type(rows).__name__}, not a list of mappings; write a list, or one mapping a line"
        )
    halves = ESCAPED_HALF.search(text) is not None
    for number, row in enumerate(rows, 1):
        where = f"{path}, entry {number}"
        if not isinstance(row, dict):
            raise PlauditError(f"{where}: an entry of the list is one mapping, not {type(row).__name__}")
        if halves:
            _refuse_halves(row, where)
        yield where, row


def _of_csv(text: str, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    names: list[str] | None = None
    while True:
        where = f"{path}, line {reader.line_num + 1}"
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise PlauditError(f"{where}: not CSV ({error}); mend it, or write JSON lines") from None
        if cells is None:
            return
        if not cells:
            continue
        if names is None:
            names = cells
            if len(set(names)) < len(names):
                raise PlauditError(f"{where}: two columns have one name; the header names each column")
            continue
        if len(cells) != len(names):
            raise PlauditError(
                f"{where}: {len(cells)} cells but {len(names)} columns; mend the line, or its quotes"
            )
        # pandas writes the numbers of rows as a column without a name
        found = {name: cell for name, cell in zip(names, cells, strict=True) if name}
        yield where, {name: _cell(cell, name, where) for name, cell in found.items()}


def _cell(cell: str, name: str, where: str) -> Any:
    if name not in MESSAGE_FIELDS or not MESSAGES.match(cell):
        return cell
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        raise PlauditError(
            f"{where}: `{name}` looks like a list of messages but is not JSON; write it with json.dumps"
        ) from None
    _refuse_halves(value, where)
    return value


def _parsed(line: str, where: str) -> Any:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise PlauditError(
            f"{where}: not JSON ({error.msg} at column {error.colno}); mend or drop the line"
        ) from None
    except (RecursionError, ValueError) as error:  # too deep; a number of too many digits
        raise PlauditError(f"{where}: not JSON that can be read ({error}); mend or drop the line") from None
    if ESCAPED_HALF.search(line):
        _refuse_halves(value, where)
    return value


def _refuse_halves(value: object, where: str) -> None:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise PlauditError(
            f"{where}: a text holds half a surrogate pair (\\u{ord(text[error.start]):04x}); write the whole "
            "character, or drop it"
        ) from None
