"""From Python 3.12 on a forked worker counts no references to what modules consist of."""

import subprocess
import sys

# In an interpreter of its own: what is immortal stays so.
_PROBE = """
import sys
import agent.app.camera_process
from agent.app import uncounted
marked = uncounted.leave_uncounted()
parts = [uncounted.leave_uncounted, uncounted.leave_uncounted.__code__, uncounted, vars(uncounted),
         agent.app.camera_process.CameraWorker, vars(agent.app.camera_process)]
before = [sys.getrefcount(part) for part in parts]
more = [parts[:] for _ in range(10)]
mine = object()
print(marked > 0, [sys.getrefcount(part) for part in parts] == before, sys.getrefcount(mine) < 9)
"""


def test_what_modules_consist_of_is_counted_no_more_where_python_can_leave_it():
    done = subprocess.run(
        [sys.executable, "-c", _PROBE], capture_output=True, text=True, check=True
    )
    is_offered = (3, 12) <= sys.version_info[:2] <= (3, 13) and sys.maxsize > 2**32
    assert done.stdout.split() == [str(is_offered), str(is_offered), "True"]
    assert not done.stderr
