"""Command lines: `lawjax inspect`, `export`, `bracket`, ... and the options of the scripts in `experiments/`.

Mistakes print one sentence and exit with status 2; Ctrl-C exits with 130, having stored what was in training.
"""

from lawjax.cli.entry import guarded as guarded
from lawjax.cli.entry import main as main
from lawjax.cli.options import experiment as experiment
from lawjax.cli.refusals import check_device as check_device
from lawjax.cli.refusals import check_drawing as check_drawing
