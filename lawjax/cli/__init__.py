"""Command lines: `lawjax inspect`, `export`, `bracket`, ... and the options of the scripts in `experiments/`.

Mistakes print one sentence and exit with status 2; Ctrl-C, SIGTERM and SIGHUP exit with 128 and the signal's number
(130, 143, 129), having stored what was in training. Importing this package, which only commands do, makes it so.
"""

from lawjax.cli import signals

signals.listen()  # before anything that takes long to import

from lawjax.cli.entry import guarded as guarded  # noqa: E402
from lawjax.cli.entry import main as main  # noqa: E402
from lawjax.cli.options import experiment as experiment  # noqa: E402
from lawjax.cli.refusals import check_device as check_device  # noqa: E402
from lawjax.cli.refusals import check_drawing as check_drawing  # noqa: E402
