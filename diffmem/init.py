"""``python -m diffmem.init DIR``: write the configs, batch scripts, grids and tools of diffmem into a folder.

Commands of the READMEs that name ``configs/``, ``sbatch/`` or ``tools/`` run in that folder. A file that is there
already stays as it is.
"""

import shlex
import shutil
import sys
from pathlib import Path

from diffmem import shipped
from diffmem.command_line import Parser, exit_code_of, is_full
from diffmem.errors import EXIT_DONE, ConfigError
from diffmem.files import writing


def main(args: list[str] | None = None) -> int:
    """Run the command line ``args`` (None: the process's own); returns the exit code."""
    parser = Parser(prog="python -m diffmem.init", description=__doc__.partition(": ")[2])
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder to write into; made where there is none")
    options = parser.parse_args(args)
    return exit_code_of(lambda: _write(options.folder))


def _write(folder: Path) -> int:
    kept = 0
    try:
        for name in shipped.files():
            target = folder / name
            if target.exists():
                kept += 1
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with writing(target) as partial:  # half a file would stay at the next call
                shutil.copy(shipped.ROOT / name, partial)
    except OSError as error:
        if is_full(error):
            raise
        raise ConfigError(
            "DIR", got=f"{folder} ({error.strerror})", expected="a folder to write in", remedy="name another"
        ) from error
    print(
        f"written to {folder}: {', '.join(shipped.FOLDERS)}" + (f"; {kept} files were there and stay" if kept else "")
    )
    print(f"next: cd {shlex.quote(str(folder))} && diffmem fit --config digits/unet.yaml")
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
