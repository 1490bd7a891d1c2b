"""Filter patterns of CloudWatch Logs for lines of words, `[timestamp, level=ERROR, ...]`, and for JSON, `{$.level = "ERROR"}`.

Amazon CloudWatch Logs User Guide, "Filter pattern syntax". MiniStack takes the first for terms and lets everything through the
second. What is not known here matches nothing, so that nobody takes it for a match.
"""

import fnmatch
import json
import re

# A word, or what stands in brackets or quotes as one.
FIELD = re.compile(r'\[([^\]]*)\]|"((?:\\.|[^"\\])*)"|(\S+)')
CONDITION = re.compile(r'\s*([\w.$\-]+)\s*(!=|<=|>=|=|<|>)\s*("(?:\\.|[^"\\])*"|[^\s"&|]+)\s*')


def matcher(pattern):
    """A test of messages, or None for a pattern of another kind."""
    pattern = (pattern or "").strip()
    if pattern.startswith("[") and pattern.endswith("]"):
        return words_matcher([part.strip() for part in pattern[1:-1].split(",")])
    if pattern.startswith("{") and pattern.endswith("}"):
        return lambda message: any_of(pattern[1:-1], lambda name: of_json(message, name))
    return None


def words_matcher(parts):
    has_rest = parts.count("...") == 1

    def matches(message):
        fields = [next(group for group in match.groups() if group is not None) for match in FIELD.finditer(message)]
        asked = [part for part in parts if part != "..."]
        if len(fields) < len(asked) or not has_rest and len(fields) != len(asked):
            return False
        at = parts.index("...") if has_rest else len(parts)
        behind = len(asked) - at
        values = fields[:at] + (fields[-behind:] if behind else [])
        return all(word_matches(part, value) for part, value in zip(asked, values))

    return matches


def word_matches(part, value):
    """A name alone takes any word; a condition is on the word in its place."""
    if re.fullmatch(r"\w*", part):
        return True
    return any_of(part, lambda _name: value)


def any_of(text, value_of):
    return any(all(holds(one, value_of) for one in part.split("&&")) for part in text.split("||"))


def holds(condition, value_of):
    match = CONDITION.fullmatch(condition.strip("() "))
    if not match:
        return False
    name, sign, wanted = match.groups()
    value, wanted = value_of(name), wanted.strip('"')
    if value is None:
        return False
    if sign in ("=", "!="):
        return fnmatch.fnmatchcase(str(value), wanted) == (sign == "=")
    try:
        left, right = float(value), float(wanted)
    except ValueError:
        return False
    return {"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}[sign]


def of_json(message, name):
    try:
        value = json.loads(message)
    except ValueError:
        return None
    for key in name.removeprefix("$.").split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return json.dumps(value) if isinstance(value, bool) else value
