"""What the text of a flag means: one parser for each kind of value."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import Any


class ArgumentParser:
    """A flag's value is its text."""

    syntactic_help = ""

    def parse(self, argument: Any) -> Any:
        """The value of an argument; TypeError or ValueError where it has none."""
        if not isinstance(argument, str):
            raise TypeError(f'flag value must be a string, found "{type(argument)}"')
        return argument

    def flag_type(self) -> str:
        return "string"


class _NumberParser(ArgumentParser):
    """A number, which may have bounds."""

    number_article, number_name = "a", "number"

    def __init__(self, lower_bound: Any = None, upper_bound: Any = None) -> None:
        self.lower_bound, self.upper_bound = lower_bound, upper_bound

    @property
    def is_bounded(self) -> bool:
        return self.lower_bound is not None or self.upper_bound is not None

    @property
    def syntactic_help(self) -> str:  # type: ignore[override]
        kind, low, high = self.number_name, self.lower_bound, self.upper_bound
        if low is not None and high is not None:
            return f"{kind} in the range [{low}, {high}]"
        for bound, word in ((1, "positive"), (0, "non-negative")):
            if low == bound and kind == "integer":
                return f"a {word} {kind}"
        if low is not None:
            return f"{kind} >= {low}"
        return f"{kind} <= {high}" if high is not None else f"{self.number_article} {kind}"

    def is_outside_bounds(self, value: Any) -> bool:
        low, high = self.lower_bound, self.upper_bound
        return (low is not None and value < low) or (high is not None and value > high)

    def parse(self, argument: Any) -> Any:
        value = self.convert(argument)
        if self.is_outside_bounds(value):
            raise ValueError(f"{value} is not {self.syntactic_help}")
        return value

    def convert(self, argument: Any) -> Any:
        raise NotImplementedError


class FloatParser(_NumberParser):
    """A floating-point number."""

    def convert(self, argument: Any) -> float:
        if isinstance(argument, bool) or not isinstance(argument, (int, float, str)):
            raise TypeError(f"Expect argument to be a string, int, or float, found {argument!r}")
        return float(argument)

    def flag_type(self) -> str:
        return "float"


class IntegerParser(_NumberParser):
    """A whole number, which may be written 0x10 or 0o10."""

    number_article, number_name = "an", "integer"

    def convert(self, argument: Any) -> int:
        if isinstance(argument, str):
            return int(argument, {"0x": 16, "0o": 8}.get(argument[:2], 10))
        if isinstance(argument, bool) or not isinstance(argument, int):
            raise TypeError(f"Expect argument to be a string or int, found {type(argument)}")
        return int(argument)

    def flag_type(self) -> str:
        return "int"


class BooleanParser(ArgumentParser):
    """True or false."""

    def parse(self, argument: Any) -> bool:
        if isinstance(argument, str):
            if argument.lower() in ("true", "t", "1"):
                return True
            if argument.lower() in ("false", "f", "0"):
                return False
            raise ValueError(f"Non-boolean argument to boolean flag: {argument}")
        if isinstance(argument, (int, float)) and argument in (0, 1):
            return bool(argument)
        raise TypeError(f"Non-boolean argument to boolean flag: {argument!r}")

    def flag_type(self) -> str:
        return "bool"


class EnumParser(ArgumentParser):
    """One of several texts."""

    def __init__(self, enum_values: Iterable[str], case_sensitive: bool = True) -> None:
        self.enum_values, self.case_sensitive = list(enum_values), case_sensitive
        if not self.enum_values:
            raise ValueError(f"enum_values cannot be empty, found {self.enum_values}")
        self.syntactic_help = "<" + "|".join(self.enum_values) + ">"

    def parse(self, argument: Any) -> str:
        for value in self.enum_values:
            if argument == value or (
                not self.case_sensitive and str(argument).lower() == value.lower()
            ):
                return value
        raise ValueError(f"value should be one of {self.syntactic_help}")

    def flag_type(self) -> str:
        return "string enum"


class EnumClassParser(ArgumentParser):
    """A member of an enum.Enum, given by its name."""

    def __init__(self, enum_class: Any, case_sensitive: bool = True) -> None:
        self.enum_class = enum_class
        self._names = EnumParser([member.name for member in enum_class], case_sensitive)
        self.syntactic_help = self._names.syntactic_help

    def parse(self, argument: Any) -> Any:
        if isinstance(argument, self.enum_class):
            return argument
        return self.enum_class[self._names.parse(argument)]

    def flag_type(self) -> str:
        return "enum class"


class CsvListParser(ArgumentParser):
    """Texts with commas between them."""

    syntactic_help = "a comma separated list"

    def parse(self, argument: Any) -> list[str]:
        if isinstance(argument, list):
            return argument
        if not argument:
            return []
        return [item.strip() for item in next(csv.reader([argument], strict=True))]

    def flag_type(self) -> str:
        return "comma separated list of strings"


class SpaceListParser(ArgumentParser):
    """Texts with blanks between them."""

    syntactic_help = "a whitespace separated list"

    def __init__(self, comma_compat: bool = False) -> None:
        self._commas = comma_compat

    def parse(self, argument: Any) -> list[str]:
        if isinstance(argument, list):
            return argument
        return (argument.replace(",", " ") if self._commas else argument or "").split()

    def flag_type(self) -> str:
        return "whitespace separated list of strings"
