"""Print a grid, one run a line, as the product of lists.

    python tools/make_grid.py --config configs/digits/unet.yaml --config configs/optimizer/sgd.yaml,configs/optimizer/adam.yaml \\
        --data.n=32,64,128 --seed=0..2 --trainer.max_steps=40*n > grids/digits.txt

Every option is a list: values between commas, or whole numbers FIRST..LAST; the last option changes fastest. Arithmetic
may name other options by the last part of their key (n is data.n): + - * / // ** and min, max, round.
"""  # noqa: E501

import ast
import contextlib
import itertools
import math
import operator
import re
import shlex
import sys
from collections import Counter
from collections.abc import Mapping, Sequence

from diffmem.command_line import exit_code_of
from diffmem.errors import EXIT_DONE, ConfigError
from diffmem.jobs.grid import check_line, options

_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
}
#: No grid is longer, and no number larger.
_MOST_RUNS, _LARGEST = 100_000, 2**63
_TEXTS = ("study", "run_root", "adopt", "data.path")  # never arithmetic: lr-n is a name; nor those of wandb
_FUNCTIONS = {"min": min, "max": max, "round": round}

Number = int | float


def grid_lines(arguments: Sequence[str]) -> list[str]:
    """The lines of the grid that the options ask for, configs first on each.

    Raises:
        ConfigError: An option has no value, arithmetic names an unknown option, or a line would be malformed.
    """
    axes = []
    for key, values in options(arguments):
        if not key or not values:
            raise ConfigError(
                "make_grid", got=f"--{key}" if key else values, expected="--key=VALUE,…", remedy="see --help"
            )
        axes.append([(key, value) for value in split_values(values)])
    axes.sort(key=lambda axis: axis[0][0] != "config")
    if not axes:
        raise ConfigError("make_grid", got="no options", expected="--key=VALUE,…", remedy="see --help")
    if (count := math.prod(map(len, axes))) > _MOST_RUNS:
        raise _too_many(f"{count:,} runs")
    lines = [_line(run) for run in itertools.product(*axes)]
    for line, count in Counter(lines).items():
        check_line(line, line)
        if count > 1:
            raise ConfigError(
                "make_grid", got=f"{line}, {count} times", expected="each run once", remedy="see the lists"
            )
    return lines


def split_values(values: str) -> list[str]:
    """``"32,64"`` as its values, ``"0..2"`` as 0, 1, 2; commas inside brackets or quotes do not split."""
    parts, depth, quote = [""], 0, ""
    for letter in values:
        quote = "" if letter == quote else quote or (letter if letter in "'\"" else "")
        depth += 0 if quote else (letter in "([{") - (letter in ")]}")
        if letter == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    return [value for part in parts for value in _range(part)]


def _range(part: str) -> list[str]:
    ends = re.fullmatch(r"(\d+)\.\.(\d+)", part)
    if ends is None:
        if re.fullmatch(r"[-+\d.]*\.\.[-+\d.]*", part):
            raise ConfigError("make_grid", got=part, expected="FIRST..LAST, whole numbers", remedy="e.g. 0..2")
        return [part]
    first, last = int(ends[1]), int(ends[2])
    if first > last:
        raise ConfigError("make_grid", got=part, expected="FIRST..LAST, ascending", remedy=f"write {last}..{first}")
    if last - first >= _MOST_RUNS:
        raise _too_many(part)
    return [str(each) for each in range(first, last + 1)]


def _too_many(got: str) -> ConfigError:
    return ConfigError("make_grid", got=got, expected=f"at most {_MOST_RUNS:,} runs", remedy="make several grids")


def _line(run: Sequence[tuple[str, str]]) -> str:
    numbers: dict[str, Number] = {}
    names = Counter(key.rpartition(".")[2] for key, _ in run)
    for key, value in run:
        name = key.rpartition(".")[2]
        with contextlib.suppress(ValueError):
            if names[name] == 1:
                numbers[name] = int(value) if value.isdecimal() else float(value)
    words = []
    for key, value in run:
        found = value if key in _TEXTS or key.startswith("wandb.") else evaluate(value, numbers)
        words.append(f"--{key} {shlex.quote(found)}" if key == "config" else shlex.quote(f"--{key}={found}"))
    return " ".join(words)


def evaluate(value: str, names: Mapping[str, Number]) -> str:
    """``value`` where it is not arithmetic with ``names``, else its result, e.g. ``"640"`` of ``"20*n"`` at n = 32.

    Raises:
        ConfigError: A product that names something else.
    """
    try:
        tree = ast.parse(value, mode="eval").body
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - {*_FUNCTIONS}
        if not used or not used <= {*names} or isinstance(tree, ast.Name):
            raise SyntaxError
        result = _compute(tree, names)
        if isinstance(result, complex) or abs(result) > _LARGEST:
            raise OverflowError
    except (SyntaxError, ArithmeticError, TypeError, ValueError) as error:
        if isinstance(error, SyntaxError) and "*" not in value:
            return value
        raise ConfigError(
            value,
            got="arithmetic that cannot be worked out",
            expected=f"numbers and {', '.join(names) or 'names of other options'}",
            remedy="give every option it names a number, and name none that ends as another does",
        ) from error
    return str(int(result)) if isinstance(result, int) or result.is_integer() else repr(result)


def _compute(tree: ast.AST, names: Mapping[str, Number]) -> Number:
    match tree:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            first, second = _compute(left, names), _compute(right, names)
            if isinstance(op, ast.Pow) and abs(second) * math.log2(max(2, abs(first))) > math.log2(_LARGEST):
                raise OverflowError  # worked out, it could fill the memory
            return _OPERATORS[type(op)](first, second)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_compute(operand, names)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](*(_compute(each, names) for each in arguments))
    raise SyntaxError(ast.unparse(tree))


def main(args: list[str] | None = None) -> int:
    args = sys.argv[1:] if args is None else args
    if not args or {"-h", "--help"} & {*args}:
        print(__doc__)
        return EXIT_DONE
    return exit_code_of(lambda: _print_grid(args))


def _print_grid(args: list[str]) -> int:
    lines = grid_lines(args)
    print(f"# {len(lines)} runs: python tools/make_grid.py {shlex.join(args)}")
    print("\n".join(lines))
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
