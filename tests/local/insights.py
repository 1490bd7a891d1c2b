"""The query language of CloudWatch Logs Insights, as far as spawn's queries and the guides' use it.

Amazon CloudWatch Logs User Guide, "CloudWatch Logs Insights language query syntax". MiniStack knows `fields`, a few filters and
`limit`, and passes over the rest, so a query that it cannot run looks as if it had matched everything. Here what is not known
is refused, as AWS refuses a malformed query.
"""

import datetime
import json
import math
import re

TOKEN = re.compile(
    r"""\s*(?:
    (?P<regex>(?<=like\s)/(?:\\.|[^/\\])*/i?|(?<==~\s)/(?:\\.|[^/\\])*/i?)
  | (?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
  | (?P<span>\d+(?:ms|s|m|h|d|w)\b)
  | (?P<number>\d+(?:\.\d+)?)
  | (?P<name>`[^`]+`|@?[A-Za-z_][\w.]*)
  | (?P<sign><=|>=|!=|=~|[-+*/%=<>(),\[\]|])
)""",
    re.X,
)
SPANS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
COMMANDS = {"fields", "display", "filter", "stats", "sort", "limit"}
# Rows without `limit` (as above: "limit").
ROWS_MAX = 10_000


class Malformed(ValueError):
    """A query that Insights would refuse, or that this does not know."""


def tokens(text):
    text = re.sub(r"^\s*#.*$", "", text, flags=re.M)
    found, at = [], 0
    while text[at:].strip():
        match = TOKEN.match(text, at)
        if not match:
            raise Malformed(f"cannot be read: {text[at:at + 40]!r}")
        found.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return found


class Reader:
    """Reads a query into commands, each a name and its argument."""

    def __init__(self, text):
        self.left = tokens(text)[::-1]

    def peek(self):
        return self.left[-1][1].lower() if self.left else None

    def take(self, *expected):
        if not self.left or expected and self.peek() not in expected:
            raise Malformed(f"expected {' or '.join(expected) or 'more'}, found {self.peek() or 'the end'}")
        return self.left.pop()

    def maybe(self, *expected):
        return self.left and self.peek() in expected and self.left.pop()[1].lower()

    def query(self):
        commands = [self.command()]
        while self.maybe("|"):
            commands.append(self.command())
        if self.left:
            raise Malformed(f"not understood: {self.peek()}")
        return commands

    def command(self):
        name = self.take(*sorted(COMMANDS))[1].lower()
        if name == "filter":
            return name, self.either()
        if name == "limit":
            return name, int(self.take()[1])
        if name == "sort":
            return name, self.several(lambda: (self.sum(), self.maybe("asc", "desc") == "desc"))
        if name != "stats":
            return name, self.several(self.named)
        measures = self.several(self.named)
        return name, (measures, self.several(self.named) if self.maybe("by") else [])

    def several(self, one):
        found = [one()]
        while self.maybe(","):
            found.append(one())
        return found

    def named(self):
        """An expression and the name of its column: that after `as`, else its own text."""
        before = list(self.left)
        expression = self.sum()
        words = [word for _, word in before[len(self.left) :][::-1]]
        if self.maybe("as"):
            return expression, self.take()[1]
        return expression, "".join(words).replace(",", ", ")

    def either(self):
        left = self.both()
        while self.maybe("or"):
            left = ("or", left, self.both())
        return left

    def both(self):
        left = self.test()
        while self.maybe("and"):
            left = ("and", left, self.test())
        return left

    def test(self):
        if self.maybe("not"):
            return ("not", self.test())
        left = self.sum()
        sign = self.maybe("=", "!=", "<", "<=", ">", ">=", "like", "=~", "in", "not")
        if sign == "not":
            return ("not", (self.take("like", "in")[1].lower(), left, self.operand()))
        return (sign, left, self.operand()) if sign else left

    def operand(self):
        if self.maybe("["):
            found = ("list", *self.several(self.sum))
            self.take("]")
            return found
        if self.left and self.left[-1][0] == "regex":
            return ("regex", self.left.pop()[1])
        return self.sum()

    def sum(self):
        left = self.product()
        while sign := self.maybe("+", "-"):
            left = (sign, left, self.product())
        return left

    def product(self):
        left = self.value()
        while sign := self.maybe("*", "/", "%"):
            left = (sign, left, self.value())
        return left

    def value(self):
        kind, word = self.take()
        if word == "(":
            found = self.either()
            self.take(")")
            return found
        if word == "-":
            return ("-", ("constant", 0), self.value())
        if kind == "text":
            return ("constant", re.sub(r"\\(.)", r"\1", word[1:-1]))
        if kind == "number":
            return ("constant", float(word) if "." in word else int(word))
        if kind == "span":
            count, unit = re.fullmatch(r"(\d+)(\w+)", word).groups()
            return ("constant", int(count) * SPANS[unit])
        if kind != "name":
            raise Malformed(f"a value was expected, found {word}")
        if not self.maybe("("):
            return ("field", word.strip("`"))
        if self.maybe("*"):
            arguments = []
        else:
            arguments = [] if self.peek() == ")" else self.several(self.either)
        self.take(")")
        return ("call", word.lower(), *arguments)


def number(value):
    try:
        return float(value) if not isinstance(value, bool) else None
    except (TypeError, ValueError):
        return None


def compare(sign, left, right):
    """Nothing is equal, or unequal, to a field that is not there."""
    if left is None or right is None:
        return False
    if number(left) is not None and number(right) is not None:
        left, right = number(left), number(right)
    else:
        left, right = text(left), text(right)
    return {"=": left == right, "!=": left != right, "<": left < right, "<=": left <= right, ">": left > right}.get(
        sign, left >= right
    )


def calculate(sign, left, right):
    left, right = number(left), number(right)
    if left is None or right is None or (sign in "/%" and right == 0):
        return None
    return {"+": left + right, "-": left - right, "*": left * right}.get(sign) if sign in "+-*" else (
        left / right if sign == "/" else math.fmod(left, right)
    )


def evaluate(expression, row):
    kind = expression[0]
    if kind == "constant":
        return expression[1]
    if kind == "field":
        return row.get(expression[1])
    if kind == "list":
        return [evaluate(one, row) for one in expression[1:]]
    if kind == "call":
        return call(expression[1], expression[2:], row)
    if kind == "not":
        return not evaluate(expression[1], row)
    if kind == "and":
        return bool(evaluate(expression[1], row)) and bool(evaluate(expression[2], row))
    if kind == "or":
        return bool(evaluate(expression[1], row)) or bool(evaluate(expression[2], row))
    left = evaluate(expression[1], row)
    if kind in ("like", "=~"):
        if left is None:
            return False
        if expression[2][0] != "regex":
            return text(evaluate(expression[2], row)) in text(left)
        pattern, flags = expression[2][1].rsplit("/", 1)
        return re.search(pattern[1:], text(left), re.I if flags else 0) is not None
    right = evaluate(expression[2], row)
    if kind == "in":
        return any(compare("=", left, one) for one in right)
    return calculate(kind, left, right) if kind in "+-*/%" else compare(kind, left, right)


def call(name, arguments, row):
    values = [evaluate(one, row) for one in arguments]
    if name == "ispresent":
        return values[0] is not None
    if name == "coalesce":
        return next((value for value in values if value is not None), None)
    if name == "strcontains":
        return int(values[1] in text(values[0]))
    if name == "tomillis":
        return values[0] if number(values[0]) is not None else row.get("_at")
    if name == "bin":
        return stamp(row["_at"] // values[0] * values[0])
    raise Malformed(f"the function {name} is not known here")


def aggregate(expression, rows):
    kind = expression[0]
    if kind in ("constant", "field"):
        raise Malformed("stats takes functions such as count() and sum(field)")
    if kind != "call":
        return calculate(kind, aggregate(expression[1], rows), aggregate(expression[2], rows))
    name, arguments = expression[1], expression[2:]
    values = [evaluate(arguments[0], row) for row in rows] if arguments else rows
    values = [value for value in values if value is not None]
    if name == "count":
        return len(values)
    if name == "count_distinct":
        return len(set(map(text, values)))
    numbers = sorted(n for n in map(number, values) if n is not None)
    if name == "sum":
        return math.fsum(numbers)
    if name not in ("avg", "min", "max", "pct"):
        raise Malformed(f"the function {name} is not known here")
    if not numbers:
        return None
    if name == "pct":
        return numbers[max(0, math.ceil(len(numbers) * arguments[1][1] / 100) - 1)]
    return {"avg": math.fsum(numbers) / len(numbers), "min": numbers[0], "max": numbers[-1]}[name]


def stamp(at):
    return datetime.datetime.fromtimestamp(at / 1000, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def text(value):
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(round(value, 12))
    return str(value)


REPORT = re.compile(r"(Duration|Billed Duration|Max Memory Used): ([\d.]+) (ms|MB)")


def row_of(record):
    """A record's fields: its own, those of a JSON message, and what Insights finds in Lambda's REPORT lines."""
    message = record["@message"]
    row = {"_at": record["_timestamp_ms"], "@timestamp": stamp(record["_timestamp_ms"]), "@message": message}
    row |= {name: record[name] for name in ("@ptr", "@logStream", "@log") if name in record}
    if message.startswith("REPORT "):
        row["@type"] = "REPORT"
        for name, value, unit in REPORT.findall(message):
            key = "@" + name[0].lower() + name[1:].replace(" ", "")
            row.setdefault(key, float(value) * (1_000_000 if unit == "MB" else 1))
    try:
        found = json.loads(message)
    except ValueError:
        return row
    if isinstance(found, dict):
        flatten(found, "", row)
    return row


def flatten(found, prefix, row):
    for name, value in found.items():
        if isinstance(value, dict):
            flatten(value, f"{prefix}{name}.", row)
        elif value is not None and not isinstance(value, list):
            row[prefix + name] = value


def run(query, records):
    """The rows of `query` over MiniStack's records, each a list of columns; and how many records matched."""
    rows = [row_of(record) for record in records]
    columns, limit, matched = None, ROWS_MAX, None
    for name, argument in Reader(query).query():
        if name == "filter":
            rows = [row for row in rows if evaluate(argument, row)]
        elif name == "limit":
            limit = argument
        elif name == "sort":
            for expression, falling in reversed(argument):
                rows.sort(key=lambda row: order(evaluate(expression, row)), reverse=falling)
        elif name == "stats":
            matched = len(rows)
            rows, columns = grouped(rows, *argument)
        else:
            for row in rows:
                row.update({column: evaluate(expression, row) for expression, column in argument})
            columns = [column for _, column in argument]
    matched = len(rows) if matched is None else matched
    columns = columns or ["@timestamp", "@message"]
    shown = rows[:limit]
    answer = [
        [{"field": c, "value": text(row[c])} for c in [*columns, "@ptr"] if row.get(c) is not None] for row in shown
    ]
    return answer, matched


def order(value):
    """Numbers by their size before texts; what is not there first."""
    as_number = number(value)
    return (value is not None, as_number is None, as_number or 0, "" if value is None else text(value))


def grouped(rows, measures, by):
    groups = {}
    for row in rows:
        key = tuple(None if (v := evaluate(expression, row)) is None else text(v) for expression, _ in by)
        groups.setdefault(key, []).append(row)
    if not by and not groups:
        groups[()] = []
    made = []
    for key, members in groups.items():
        row = dict(zip([column for _, column in by], key))
        row |= {column: aggregate(expression, members) for expression, column in measures}
        made.append(row)
    return made, [column for _, column in [*by, *measures]]
