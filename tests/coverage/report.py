"""Lines of a folder that tests have run, from an lcov file; what stands in `#[cfg(test)]` modules does not count."""

import collections
import pathlib
import sys


def lines_of_tests(path):
    """The lines of modules that only tests have: from their attribute to the brace that closes them."""
    lines = path.read_text().splitlines()
    inside, depth, found = False, 0, set()
    for number, line in enumerate(lines, 1):
        if line.strip().startswith("#[cfg(test)]"):
            inside, depth = True, 0
        if inside:
            found.add(number)
            depth += line.count("{") - line.count("}")
            if depth == 0 and (line.strip().endswith("}") or line.strip().endswith(";")):
                inside = False
    return found


def is_test_file(path):
    return path.name in ("tests.rs", "testing.rs") or "tests" in path.parts


def ranges(numbers):
    text, numbers = [], sorted(numbers)
    while numbers:
        first = last = numbers.pop(0)
        while numbers and numbers[0] == last + 1:
            last = numbers.pop(0)
        text.append(str(first) if first == last else f"{first}-{last}")
    return " ".join(text)


def main():
    lcov, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    counts = collections.defaultdict(lambda: collections.defaultdict(int))
    path = None
    for line in lcov.read_text().splitlines():
        if line.startswith("SF:"):
            path = pathlib.Path(line[3:])
        elif line.startswith("DA:") and path and path.is_relative_to(folder):
            number, count = line[3:].split(",")[:2]
            counts[path][int(number)] += int(count)
    covered = total = 0
    for path in sorted(counts):
        if is_test_file(path.relative_to(folder)):
            continue
        of_tests = lines_of_tests(path)
        lines = {number: count for number, count in counts[path].items() if number not in of_tests}
        if not lines:
            continue
        missed = [number for number, count in lines.items() if count == 0]
        covered, total = covered + len(lines) - len(missed), total + len(lines)
        share = 100 * (len(lines) - len(missed)) / len(lines)
        print(f"{share:6.1f} %  {path.relative_to(folder)}  {ranges(missed)}".rstrip())
    print(f"{100 * covered / total:6.1f} %  of {total} lines")


main()
