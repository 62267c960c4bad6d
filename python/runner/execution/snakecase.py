"""Names of CR fields as Ansible variables: Operator SDK's snake_case, exception for exception.

Roles written for the Go runtime read these names, so its oddities are kept: a leading capital gives a leading
underscore unless the first word is HTTP, URL or IP, and only the first occurrence of each such word is seen.
"""

import re
from itertools import zip_longest

__all__ = ["snake_case"]

_SPECIAL = ("HTTP", "URL", "IP")
_SPECIAL_LOWER = frozenset(word.lower() for word in _SPECIAL)
_DIGITS_BETWEEN_LETTERS = re.compile(r"([a-zA-Z])([0-9]+)([a-zA-Z][0-9]+)")


def snake_case(name: str) -> str:
    """Convert one key; the empty string stands for a key that has nothing but spaces."""
    text = _DIGITS_BETWEEN_LETTERS.sub(r"\1 \2 \3", name).strip(" ")
    if not text:
        return ""
    capital = _is_upper(text[0])
    if text.upper() != text:
        for word in _SPECIAL:
            text = _set_apart(text, word)
    words = _words(text)
    joined = "_".join(words)
    return f"_{joined}" if capital and words[0] not in _SPECIAL_LOWER else joined


def _set_apart(text: str, word: str) -> str:
    """Put underscores around a special word or its plural, whose `s` becomes a part of it."""
    before, found, after = text.partition(word)
    if not found:
        return text
    if after.startswith("s"):
        word, after = f"{word}S", after[1:]
    opening = "_" if before or not after else ""
    closing = "_" if after else ""
    return f"{before}{opening}{word}{closing}{after}"


def _words(text: str) -> list[str]:
    """Split where the case changes and at spaces, underscores and dashes."""
    words: list[str] = []
    word = ""
    for char, following in zip_longest(text, text[1:], fillvalue=""):
        if word and _is_upper(char) and _is_lower(following):
            words.append(word)
            word = char
        elif word and _is_lower(char) and _is_upper(following):
            words.append(word + char)
            word = ""
        elif char in " _-":
            words.append(word)
            word = ""
        else:
            word += char
    return [part.lower() for part in [*words, word]]


def _is_upper(char: str) -> bool:
    return "A" <= char <= "Z"


def _is_lower(char: str) -> bool:
    return "a" <= char <= "z"
