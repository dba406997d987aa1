"""The command `bench`, also as `python -m bench.cli`: it handles signals before it imports anything else.

Until `main` takes over (bench/cli/stopping.py), a signal ends the process: nothing has begun.
"""

import _signal  # type: ignore[import-not-found]  # signal itself takes 3 ms, in which Ctrl-C shows a traceback
import os


def _leave(number: int, _: object) -> None:
    os.write(2, b"bench: stopped before it began.\n")
    os._exit(128 + number)


for _number in (_signal.SIGINT, _signal.SIGTERM):
    if _signal.getsignal(_number) != _signal.SIG_IGN:
        _signal.signal(_number, _leave)

import gc  # noqa: E402
import sys  # noqa: E402

from bench.cli import main  # noqa: E402

gc.set_threshold(50_000)  # by the default, 10,000 records are searched for cycles a thousand times


def _show(_: object, error: BaseException, __: object) -> None:
    """Print a traceback as :mod:`bench.printing` prints all output: escapes in the message are text."""
    import traceback

    from bench.printing import shown

    sys.stderr.write(shown("".join(traceback.format_exception(error))))


sys.excepthook = _show

if __name__ == "__main__":
    sys.exit(main())
