"""`tf.flags`: options of the command line, in the way of absl, which TensorFlow 1.15 uses."""

from __future__ import annotations

import csv
import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from io import StringIO
from typing import Any

from anode.frontends.tensorflow.api.flag_parsers import (
    ArgumentParser,
    BooleanParser,
    CsvListParser,
    EnumClassParser,
    EnumParser,
    FloatParser,
    IntegerParser,
    SpaceListParser,
)
from anode.frontends.tensorflow.opdef import export, export_values, renamed


class Error(Exception):
    """Base of the errors of flags."""


class DuplicateFlagError(Error):
    """A flag is defined twice."""


class IllegalFlagValueError(Error):
    """A flag was given a value that it does not take."""


class UnrecognizedFlagError(Error):
    """A flag was given that is not defined."""

    def __init__(self, flagname: str, flagvalue: Any = "", suggestions: Sequence[str] = ()) -> None:
        self.flagname, self.flagvalue = flagname, flagvalue
        tip = f". Did you mean: {', '.join(suggestions)} ?" if suggestions else ""
        super().__init__(f"Unknown command line flag '{flagname}'{tip}")


class UnparsedFlagAccessError(Error):
    """A flag was read before the command line was."""


class ValidationError(Error):
    """The values of flags do not satisfy a validator."""


class Flag:
    """One flag: its name, default, help, and what its text means."""

    def __init__(
        self,
        parser: ArgumentParser,
        serializer: Any,
        name: str,
        default: Any,
        help_string: str | None,
        short_name: str | None = None,
        boolean: bool = False,
        allow_override: bool = False,
        multiple: bool = False,
    ) -> None:
        self.parser, self.serializer = parser, serializer
        self.name, self.short_name, self.boolean = name, short_name, boolean
        self.help = help_string or "(no help available)"
        self.allow_override, self.multiple = allow_override, multiple
        self.present, self.using_default_value = 0, True
        self.default = self.value = self._default(default)

    def _default(self, default: Any) -> Any:
        if default is None:
            return None
        if self.multiple and not isinstance(default, str):
            return [self.convert(item) for item in default]
        return [self.convert(default)] if self.multiple else self.convert(default)

    def convert(self, argument: Any) -> Any:
        """The value of an argument; IllegalFlagValueError where there is none."""
        try:
            return self.parser.parse(argument)
        except (TypeError, ValueError) as error:
            raise IllegalFlagValueError(f"flag --{self.name}={argument}: {error}") from None

    def parse(self, argument: Any) -> None:
        """Take a value from the command line; flags of several values collect them."""
        value = self.convert(argument)
        if self.multiple:
            value = ([] if self.using_default_value else list(self.value)) + [value]
        self.value, self.using_default_value = value, False
        self.present += 1

    def unparse(self) -> None:
        self.value, self.using_default_value, self.present = self.default, True, 0

    def flag_type(self) -> str:
        return self.parser.flag_type()

    @property
    def default_as_str(self) -> str | None:
        return None if self.default is None else repr(self._text(self.default))

    def _text(self, value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        return ",".join(map(str, value)) if isinstance(value, list) else str(value)

    def serialize(self) -> str:
        """The flag and its value as on a command line; empty where it has none."""
        if self.value is None:
            return ""
        if self.boolean:
            return f"--{self.name}" if self.value else f"--no{self.name}"
        values = self.value if self.multiple else [self.value]
        return "\n".join(f"--{self.name}={self._text(value)}" for value in values)

    def usage(self) -> str:
        """The flag's lines in the help text."""
        name = f"--[no]{self.name}" if self.boolean else f"--{self.name}"
        short = f"-{self.short_name}," if self.short_name else ""
        many = ";\n    repeat this option to specify a list of values" if self.multiple else ""
        text = textwrap.fill(f"{short}{name}: {self.help}{many}", 80, subsequent_indent="    ")
        lines = [f"  {text}"]
        if self.default_as_str is not None:
            lines.append(f"    (default: {self.default_as_str})")
        if self.parser.syntactic_help:
            lines.append(f"    ({self.parser.syntactic_help})")
        return "\n".join(lines)


Validator = tuple[tuple[str, ...], Callable[..., Any], str]


class FlagValues:
    """The flags of a program, as attributes; the command line is parsed when one is first read."""

    def __init__(self) -> None:
        flags: dict[str, Flag] = {}
        validators: list[Validator] = []
        # The names that scripts know from absl: FLAGS.__flags is Flag objects by name.
        self.__dict__.update({"__flags": flags, "__validators": validators, "__parsed": False})
        self.__dict__["__gnu"] = True  # as TensorFlow sets it: flags may follow other arguments

    def _flags(self) -> dict[str, Flag]:
        return self.__dict__["__flags"]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if not self.is_parsed():
            self(sys.argv)
        if name not in self._flags():
            raise AttributeError(name)
        return self._flags()[name].value

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._flags():
            raise UnrecognizedFlagError(name, value, self._nearest(name))
        flag = self._flags()[name]
        flag.value, flag.using_default_value = value, False
        self._validate(name)

    def __delattr__(self, name: str) -> None:
        flag = self._flags()[name]
        for known in [known for known, other in self._flags().items() if other is flag]:
            del self._flags()[known]

    def __getitem__(self, name: str) -> Flag:
        return self._flags()[name]

    def __setitem__(self, name: str, flag: Flag) -> None:
        self._define(flag, name)

    def __contains__(self, name: object) -> bool:
        return name in self._flags()

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(flag.name for flag in self._flags().values()))

    def __len__(self) -> int:
        return len(self._flags())

    def __dir__(self) -> list[str]:
        return sorted(self._flags())

    def _define(self, flag: Flag, *names: str) -> None:
        for name in filter(None, names):
            before = self._flags().get(name)
            if before is not None and not (flag.allow_override or before.allow_override):
                raise DuplicateFlagError(
                    f"The flag '{name}' is defined twice; the first time with the help: "
                    f"{before.help}"
                )
            self._flags()[name] = flag

    def __call__(self, argv: Sequence[str], known_only: bool = False) -> list[str]:
        """Parse a command line, and give the program's name and what is not a flag.

        With `known_only` unknown flags are given back too; else they raise
        UnrecognizedFlagError. IllegalFlagValueError for values that do not fit.
        """
        if isinstance(argv, (str, bytes)):
            raise TypeError("argv should be a tuple/list of strings, not bytes or string.")
        if not argv:
            raise ValueError("argv cannot be an empty list, and must contain the program name")
        rest = self._parse(self.read_flags_from_files(list(argv[1:])), known_only)
        self.mark_as_parsed()
        self.validate_all_flags()
        return [argv[0], *rest]

    def _parse(self, arguments: list[str], known_only: bool) -> list[str]:
        rest: list[str] = []
        unknown: list[str] = []
        tolerated: set[str] = set()
        while arguments:
            argument = arguments.pop(0)
            if argument == "--":
                break
            if not argument.startswith("-") or argument == "-":
                rest.append(argument)
                if self.__dict__["__gnu"]:
                    continue
                break
            name, equals, value = argument.lstrip("-").partition("=")
            if name == "undefok":
                tolerated |= {part.strip() for part in value.split(",")}
            elif not self._take(name, value if equals else None, arguments):
                unknown.append(name)
                rest += [argument] if known_only else []
        for name in unknown:
            if (
                not known_only
                and name not in tolerated
                and name.removeprefix("no") not in tolerated
            ):
                raise UnrecognizedFlagError(name, suggestions=self._nearest(name))
        return rest + arguments

    def _take(self, name: str, value: str | None, arguments: list[str]) -> bool:
        """Give a flag its value, maybe the next argument; False where there is no such flag."""
        flag = self._flags().get(name)
        if flag is None:
            flag = self._flags().get(name[2:]) if name.startswith("no") else None
            if flag is None or not flag.boolean:
                return False
            if value is not None:
                raise IllegalFlagValueError(f"{flag.name} does not take an argument")
            value = "false"
        if value is None and not flag.boolean:
            if not arguments:
                raise Error(f"Missing value for flag --{name}")
            value = arguments.pop(0)
        flag.parse(value if value is not None else "true")
        return True

    def _nearest(self, name: str) -> list[str]:
        return get_close_matches(name, self._flags(), 3, 0.8)

    def read_flags_from_files(self, argv: list[str], force_gnu: bool = True) -> list[str]:
        """The arguments, with the lines of files given by --flagfile in their place."""
        found: list[str] = []
        for argument in argv:
            key, _, path = argument.partition("=")
            if key in ("--flagfile", "-flagfile"):
                with open(os.path.expanduser(path), encoding="utf-8") as file:
                    lines = [line.strip() for line in file]
                lines = [line for line in lines if line and not line.startswith(("#", "//"))]
                found += self.read_flags_from_files(lines)
            else:
                found.append(argument)
        return found

    def is_parsed(self) -> bool:
        return bool(self.__dict__["__parsed"])

    def mark_as_parsed(self) -> None:
        self.__dict__["__parsed"] = True

    def _parse_flags(self, args: Sequence[str] | None = None) -> None:
        """What TensorFlow before 1.5 called to parse; unknown flags were let pass."""
        self([sys.argv[0], *args] if args is not None else sys.argv, known_only=True)

    def unparse_flags(self) -> None:
        """Forget the command line; it is parsed again when a flag is next read."""
        for flag in self._flags().values():
            flag.unparse()
        self.__dict__["__parsed"] = False

    def set_gnu_getopt(self, gnu_getopt: bool = True) -> None:
        """Whether flags may follow arguments that are none."""
        self.__dict__["__gnu"] = gnu_getopt

    def is_gnu_getopt(self) -> bool:
        return bool(self.__dict__["__gnu"])

    def set_default(self, name: str, value: Any) -> None:
        if name not in self._flags():
            raise UnrecognizedFlagError(name, value, self._nearest(name))
        flag = self._flags()[name]
        flag.default = flag._default(value)
        if flag.using_default_value:
            flag.value = flag.default
        self._validate(name)

    def flag_values_dict(self) -> dict[str, Any]:
        """The values by name."""
        return {name: self._flags()[name].value for name in self}

    def flags_into_string(self) -> str:
        """The flags as lines of a flag file."""
        return "".join(f"{text}\n" for name in self if (text := self[name].serialize()))

    def append_flags_into_file(self, filename: str) -> None:
        with open(filename, "a", encoding="utf-8") as file:
            file.write(self.flags_into_string())

    def append_flag_values(self, flag_values: FlagValues) -> None:
        for name in flag_values:
            self._define(flag_values[name], name)

    def remove_flag_values(self, flag_values: Iterable[str]) -> None:
        for name in list(flag_values):
            delattr(self, name)

    def get_help(self, prefix: str = "", include_special_flags: bool = True) -> str:
        """The flags with their help, one after another."""
        lines = [self[name].usage() for name in sorted(self)]
        return "\n".join(textwrap.indent(line, prefix) for line in lines)

    def main_module_help(self) -> str:
        return f"\n{os.path.basename(sys.argv[0])}:\n{self.get_help()}"

    module_help = main_module_help

    def add_validator(self, names: Sequence[str], check: Callable[..., Any], message: str) -> None:
        for name in names:
            if name not in self._flags():
                raise AttributeError(f"there is no flag --{name} to be validated")
        self.__dict__["__validators"].append((tuple(names), check, message))

    def validate_all_flags(self) -> None:
        """Raise IllegalFlagValueError for the first validator that is not satisfied."""
        for validator in self.__dict__["__validators"]:
            self._check(validator)

    def _validate(self, name: str) -> None:
        for validator in self.__dict__["__validators"]:
            if name in validator[0]:
                self._check(validator)

    def _check(self, validator: Validator) -> None:
        names, check, message = validator
        values = {name: self._flags()[name].value for name in names}
        try:
            satisfied = check(values)
        except ValidationError as error:
            satisfied, message = False, str(error)
        if not satisfied:
            given = ", ".join(f"--{name}={value}" for name, value in values.items())
            raise IllegalFlagValueError(f"flag {given}: {message}")


FLAGS = FlagValues()


def DEFINE(
    parser: ArgumentParser,
    name: str,
    default: Any,
    help: str | None,
    flag_values: FlagValues = FLAGS,
    serializer: Any = None,
    module_name: str | None = None,
    required: bool = False,
    **options: Any,
) -> FlagHolder:
    """Define a flag whose text `parser` understands."""
    short_name = options.get("short_name")
    flag = Flag(parser, serializer, name, default, help, **options)
    flag_values._define(flag, name, short_name or "")
    if isinstance(parser, IntegerParser | FloatParser) and parser.is_bounded:
        _bound(parser, name, flag_values)
    if required:
        mark_flag_as_required(name, flag_values)
    return FlagHolder(flag_values, flag)


def _bound(parser: Any, name: str, flag_values: FlagValues) -> None:
    """Values set by the program keep the bounds too."""

    def check(values: Mapping[str, Any]) -> bool:
        value = values[name]
        if value is not None and parser.is_outside_bounds(value):
            raise ValidationError(f"{value} is not {parser.syntactic_help}")
        return True

    flag_values.add_validator([name], check, "")


class FlagHolder:
    """What a definition gives: the flag's value."""

    def __init__(self, flag_values: FlagValues, flag: Flag) -> None:
        self._flag_values, self._flag = flag_values, flag

    @property
    def name(self) -> str:
        return self._flag.name

    @property
    def value(self) -> Any:
        return getattr(self._flag_values, self._flag.name)

    @property
    def default(self) -> Any:
        return self._flag.default


def DEFINE_flag(flag: Flag, flag_values: FlagValues = FLAGS, **_: Any) -> FlagHolder:
    """Define a flag that is made already."""
    flag_values._define(flag, flag.name, flag.short_name or "")
    return FlagHolder(flag_values, flag)


def DEFINE_alias(
    name: str, original_name: str, flag_values: FlagValues = FLAGS, **_: Any
) -> FlagHolder:
    """Another name of a flag."""
    flag = flag_values[original_name]
    flag_values._define(flag, name)
    return FlagHolder(flag_values, flag)


_OLD = {"flag_name": "name", "default_value": "default", "docstring": "help"}


def _defines(make: Callable[..., ArgumentParser], takes: Sequence[str] = (), **fixed: Any) -> Any:
    """A DEFINE function of one kind of flag; `takes` are the parser's own options."""
    positions = (*takes, "flag_values", "module_name")

    def define(
        name: str, default: Any, help: str | None = None, *args: Any, **options: Any
    ) -> FlagHolder:
        if len(args) > len(positions):
            raise TypeError(f"{len(args) + 3} arguments for --{name}, which takes fewer")
        options |= dict(zip(positions, args, strict=False))
        own = {key: options.pop(key) for key in takes if key in options}
        return DEFINE(make(**own), name, default, help, **options, **fixed)

    return renamed(**_OLD)(define)


def _enumerated(kind: Callable[..., ArgumentParser], multiple: bool) -> Any:
    """A DEFINE function whose values are listed in its third argument."""

    def define(
        name: str,
        default: Any,
        values: Any,
        help: str | None = None,
        flag_values: FlagValues = FLAGS,
        **options: Any,
    ) -> FlagHolder:
        own = (
            {"case_sensitive": options.pop("case_sensitive")} if "case_sensitive" in options else {}
        )
        parser = kind(values, **own)
        return DEFINE(parser, name, default, help, flag_values, multiple=multiple, **options)

    return define


_BOUNDS = ("lower_bound", "upper_bound")
DEFINE_string = _defines(ArgumentParser)
DEFINE_boolean = DEFINE_bool = _defines(BooleanParser, boolean=True)
DEFINE_float = _defines(FloatParser, _BOUNDS)
DEFINE_integer = _defines(IntegerParser, _BOUNDS)
DEFINE_list = _defines(CsvListParser)
DEFINE_spaceseplist = _defines(SpaceListParser, ("comma_compat",))
DEFINE_enum = _enumerated(EnumParser, multiple=False)
DEFINE_enum_class = _enumerated(EnumClassParser, multiple=False)
DEFINE_multi_string = _defines(ArgumentParser, multiple=True)
DEFINE_multi_integer = _defines(IntegerParser, _BOUNDS, multiple=True)
DEFINE_multi_float = _defines(FloatParser, _BOUNDS, multiple=True)
DEFINE_multi_enum = _enumerated(EnumParser, multiple=True)
DEFINE_multi_enum_class = _enumerated(EnumClassParser, multiple=True)


def register_validator(
    flag_name: str,
    checker: Callable[[Any], Any],
    message: str = "Flag validation failed",
    flag_values: FlagValues = FLAGS,
) -> None:
    """Check a flag's value when it is set and when the command line is parsed."""
    flag_values.add_validator([flag_name], lambda values: checker(values[flag_name]), message)


def validator(
    flag_name: str, message: str = "Flag validation failed", flag_values: FlagValues = FLAGS
) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """`register_validator` as a decorator."""

    def decorate(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        register_validator(flag_name, function, message, flag_values)
        return function

    return decorate


def register_multi_flags_validator(
    flag_names: Sequence[str],
    multi_flags_checker: Callable[[Mapping[str, Any]], Any],
    message: str = "Flags validation failed",
    flag_values: FlagValues = FLAGS,
) -> None:
    """Check several flags together; the checker receives their values by name."""
    flag_values.add_validator(flag_names, multi_flags_checker, message)


def mark_flag_as_required(flag_name: str, flag_values: FlagValues = FLAGS) -> None:
    """Ask for a value other than None."""
    message = f"Flag --{flag_name} must have a value other than None."
    register_validator(flag_name, lambda value: value is not None, message, flag_values)


def mark_flags_as_required(flag_names: Sequence[str], flag_values: FlagValues = FLAGS) -> None:
    for name in flag_names:
        mark_flag_as_required(name, flag_values)


def mark_flags_as_mutual_exclusive(
    flag_names: Sequence[str], required: bool = False, flag_values: FlagValues = FLAGS
) -> None:
    """Ask that at most one of the flags, or exactly one, is not None."""

    def check(values: Mapping[str, Any]) -> bool:
        count = sum(value is not None for value in values.values())
        return count == 1 or (not count and not required)

    number = "Exactly" if required else "At most"
    names = ", ".join(flag_names)
    message = f"{number} one of ({names}) must have a value other than None."
    register_multi_flags_validator(flag_names, check, message, flag_values)


def set_default(flag_holder: Any, value: Any) -> None:
    """Change a flag's default."""
    flag_holder._flag_values.set_default(flag_holder.name, value)


def flag_dict_to_args(flag_map: Mapping[str, Any]) -> Iterator[str]:
    """The arguments of a command line that give flags these values."""
    for key, value in flag_map.items():
        if value is None or isinstance(value, bool):
            yield f"--no{key}" if value is False else f"--{key}"
        elif isinstance(value, str) or not isinstance(value, Iterable):
            yield f"--{key}={value}"
        else:
            row = StringIO()
            csv.writer(row, lineterminator="").writerow(value)
            yield f"--{key}={row.getvalue()}"


_PUBLIC = [name for name in dir() if name.startswith(("DEFINE", "mark_fl", "register_"))]
_PUBLIC += ["FLAGS", "Error", "DuplicateFlagError", "IllegalFlagValueError", "FlagHolder", "Flag"]
_PUBLIC += ["UnrecognizedFlagError", "UnparsedFlagAccessError", "ValidationError", "FlagValues"]
_PUBLIC += ["validator", "set_default", "flag_dict_to_args", "ArgumentParser", "BooleanParser"]
_PUBLIC += ["EnumParser", "EnumClassParser", "FloatParser", "IntegerParser"]
export_values(__name__, {f"flags.{name}": name for name in _PUBLIC})
export_values(__name__, {f"app.flags.{name}": name for name in _PUBLIC})
export("flags._FlagValues", "app.flags._FlagValues")(FlagValues)
