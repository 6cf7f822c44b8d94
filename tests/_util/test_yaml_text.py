"""YAML that someone else wrote: whatever is wrong with it is one kind of error."""

from __future__ import annotations

import pytest

from napari_subpixel._util.yaml_text import load_documents

#: Nine lists, each of ten times the one before: a billion values in some 500 characters.
BOMB = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)


def test_documents_come_back_as_plain_values():
    assert load_documents("a: 1\nb: [x, 2.5]\n---\nc: {d: null}\n") == [{"a": 1, "b": ["x", 2.5]}, {"c": {"d": None}}]
    assert load_documents("") == []


def test_a_part_may_be_referred_to_from_elsewhere():
    assert load_documents("a: &size [64, 48]\nb: *size\n") == [{"a": [64, 48], "b": [64, 48]}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1, 2", "line 1, column 9: expected ',' or ']'"),
        ("a: 2026-02-30", "a value cannot be read: day is out of range"),
        ("a: !!bool maybe", "a value cannot be read: 'maybe'"),
        ("a: !!int abc", "a value cannot be read: invalid literal"),
        ("a: !!timestamp abc", "a value cannot be read"),
        (f"a: {'9' * 5000}", "a value cannot be read: Exceeds the limit"),
        ("a: " + "[" * 3000, "nested too deeply"),
        ("a: &a [*a]", "nested too deeply, or holds itself"),
        (BOMB, "repeats parts of itself without measure"),
    ],
)
def test_what_is_damaged_is_refused_in_a_line(text, message):
    with pytest.raises(ValueError, match=message.replace("[", r"\[").replace("]", r"\]")) as caught:
        load_documents(text)
    assert "\n" not in str(caught.value)
