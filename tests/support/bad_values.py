"""A set of bad values, and what of it a command line takes for the parameters of a class."""

from argparse import ArgumentError

from lightning.pytorch.cli import LightningArgumentParser

HUGE = "9999999999999"
BAD = ("-1", "0", "2", "-0.5", "1.5", "nan", "inf", "x", "", "[]", "{}", "null", "[-1,2]", "true", HUGE)


def parser_of(group, cls, skip=(), **defaults):
    """A parser of the parameters of ``cls`` as ``group.NAME``, and these keys."""
    parser = LightningArgumentParser(exit_on_error=False, parser_mode="omegaconf+")
    parser.add_class_arguments(cls, group, skip=set(skip))
    parser.set_defaults({f"{group}.{key}": value for key, value in defaults.items()})
    keys = sorted(action.dest for action in parser._actions if action.dest.startswith(f"{group}."))
    return parser, keys


def parsed_values(parser, keys):
    """``(key, text, namespace)`` of each value that has the type of its key."""
    for key in keys:
        for value in BAD:
            try:
                yield key, value, parser.parse_args([f"--{key}={value}"])
            except (ArgumentError, ValueError, KeyError):
                continue
