"""``diffmem COMMAND …``, the same as ``python -m diffmem.COMMAND …``."""

import runpy
import sys

from diffmem.errors import EXIT_CONFIG, EXIT_DONE

COMMANDS = {
    "fit": "train one run and measure it",
    "evaluate": "measure saved checkpoints of a run again",
    "sample": "draw samples of a trained run",
    "twins": "agreement of two models trained on disjoint images",
    "regions": "where a learned score leaves that of the population",
    "compare": "times, laws and figures of many runs",
    "report": "a page of a run or a study, to open or to mail",
    "status": "what runs are doing",
    "theory": "the random-feature theory",
    "init": "write configs, batch scripts, grids and tools into a folder",
}


def main() -> None:
    """Become the command that the process's arguments name. Nothing heavy is imported before it."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in COMMANDS:
        del sys.argv[1]
        runpy.run_module(f"diffmem.{name}", run_name="__main__", alter_sys=True)
        return
    if name == "--version":
        from importlib import metadata

        print(f"diffmem {metadata.version('diffmem')}")
        sys.exit(EXIT_DONE)
    if name in ("-h", "--help"):
        width = max(map(len, COMMANDS))
        print("usage: diffmem COMMAND …; diffmem COMMAND --help says more\n")
        print("\n".join(f"  {command:{width}}  {purpose}" for command, purpose in COMMANDS.items()))
        sys.exit(EXIT_DONE)
    print(f"diffmem: got {name}, expected one of {', '.join(COMMANDS)}; see diffmem --help", file=sys.stderr)
    sys.exit(EXIT_CONFIG)


if __name__ == "__main__":
    main()
