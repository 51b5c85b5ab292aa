"""The corpus of a fuzz target: one line of hex for each input in the repository, one file for each while libFuzzer runs."""

import hashlib
import json
import pathlib
import sys

TAKES_PDUS = ("framing", "pdus", "user_data", "receipts")
PDU_OCTETS_MAX = 600


def stored(here, target):
    path = here / "corpus" / f"{target}.hex"
    return [bytes.fromhex(line) for line in path.read_text().splitlines()] if path.exists() else []


def vectors(here):
    for path in sorted((here / "../conformance/vectors").glob("*.jsonl")):
        for line in path.read_text().splitlines():
            pdu = bytes.fromhex(json.loads(line).get("hex", ""))
            if 0 < len(pdu) <= PDU_OCTETS_MAX:
                yield pdu


def unpack(here, target, folder):
    inputs = stored(here, target)
    if target in TAKES_PDUS:
        inputs += vectors(here)
    for octets in inputs:
        (folder / hashlib.sha1(octets).hexdigest()).write_bytes(octets)


def pack(here, target, folder, kept_max):
    """What is in the repository already stays; the shortest of what is new is added."""
    inputs = stored(here, target)
    known = set(inputs) | (set(vectors(here)) if target in TAKES_PDUS else set())
    new = sorted((path.read_bytes() for path in folder.iterdir()), key=lambda octets: (len(octets), octets))
    inputs += [octets for octets in new if octets and octets not in known][: max(0, kept_max - len(inputs))]
    (here / "corpus" / f"{target}.hex").write_text("".join(f"{octets.hex()}\n" for octets in inputs))
    print(f"{len(inputs)} inputs in corpus/{target}.hex")


def show(folder):
    for path in sorted(folder.iterdir()):
        print(f"{path}: {path.read_bytes().hex()}")


def main():
    command, *arguments = sys.argv[1:]
    if command == "unpack":
        unpack(pathlib.Path(arguments[0]), arguments[1], pathlib.Path(arguments[2]))
    elif command == "pack":
        pack(pathlib.Path(arguments[0]), arguments[1], pathlib.Path(arguments[2]), int(arguments[3]))
    else:
        show(pathlib.Path(arguments[0]))


main()
