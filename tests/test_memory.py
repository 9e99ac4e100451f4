import resource
import subprocess
import sys

import pytest

CODE = """
import resource, sys
import torch
if "keep" in sys.argv:
    from retina_nb.memory import keep_freed_memory
    assert keep_freed_memory()
for _ in range(10):  # aligned arrays leave gaps at first
    torch.ones(10_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    torch.ones(10_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc keeps freed memory when told")
def test_memory_that_is_kept_does_not_fault_in_anew():
    faults = [
        int(subprocess.run([sys.executable, "-c", CODE, *words], capture_output=True, check=True).stdout)
        for words in ([], ["keep"])
    ]
    pages = 4 * 10_000_000 // resource.getpagesize()
    assert faults[1] < 0.1 * pages < faults[0]
