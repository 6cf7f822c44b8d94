"""YAML that someone else wrote: read as plain values, and refused by one kind of error however it is damaged."""

from __future__ import annotations

from typing import Any

import yaml

#: Values that a document may hold for each of its characters: one that repeats itself by references to its own parts
#: may hold any number.
MAX_VALUES_PER_CHARACTER = 10
#: Values that any document may hold.
MIN_MAX_VALUES = 10_000


def load_documents(text: str, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> list[Any]:
    """Return the documents of a YAML text.

    Parameters
    ----------
    text : str
    loader : type
        The loader, a safe one.

    Raises
    ------
    ValueError
        If it is no YAML, holds a value that is none of its kind, such as the 30th of February, is nested too deeply, or
        grows without measure by references to its own parts. One line that says where, as far as that is known.
    """
    limit = MIN_MAX_VALUES + MAX_VALUES_PER_CHARACTER * len(text)
    documents = []
    reader, too_many = None, False
    try:
        reader = loader(text)
        while reader.check_node():
            node = reader.get_node()
            if too_many := node is not None and _n_values(node, {}) > limit:
                break
            documents.append(reader.construct_document(node))
    except yaml.YAMLError as error:
        raise ValueError(_where(error)) from None
    except RecursionError:
        raise ValueError("it is nested too deeply, or holds itself") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"a value cannot be read: {' '.join(str(error).split())}") from None
    finally:
        if reader is not None:
            reader.dispose()
    if too_many:
        raise ValueError("it repeats parts of itself without measure")
    return documents


def _n_values(node: yaml.Node, known: dict[int, int]) -> int:
    """Count the values below a node, those that are referred to once for each reference."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        parts = [part for pair in node.value for part in (pair if isinstance(pair, tuple) else (pair,))]
        known[id(node)] = 1 + sum(_n_values(part, known) for part in parts)
    return known[id(node)]


def _where(error: yaml.YAMLError) -> str:
    """Say on one line what is wrong with a document, and where."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or " ".join(str(error).split())
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else str(problem)
