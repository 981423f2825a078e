"""Hostile cases on a device of mutants: ``python -m ringwalker_sim.mutants.fuzzing DEVICE CASES``.

They are those of ``ringwalker fuzz``, on a smaller device. Its host answers all reads, since after one that
is lost this device waits for longer than a case. A buffer that lies where vectors are is no fault of the
device. The exit code is 1 when a case has a finding; the first is printed, and ends the run.
"""

import sys
import time
from collections.abc import Sequence

from ..errors import EXIT_FAILED
from ..fuzz import target as targets
from ..fuzz.executor import Executor
from ..fuzz.generate import CaseMaker
from ..fuzz.operations import Kind
from .mutant import DEVICES

__all__ = ["main"]

_SEED = 1
_LEFT_OUT = (Kind.FAULT,)
_MORE_QUEUES = "all"
"""A word of set-ups that need more queues than there are."""


def main(arguments: Sequence[str]) -> int:
    """A name of :data:`DEVICES`, and how many cases."""
    device, count = arguments[0], int(arguments[1])
    config = DEVICES[device]
    key = f"{config.function}:{config.ring}:{config.face}"
    targets.DEVICES[key] = config
    target = targets.target(key)
    names = [name for name in target.setups if _MORE_QUEUES not in name.split("+")]
    began = time.process_time()
    with Executor(key) as executor:
        maker = CaseMaker(key, key, {name: target.setup(name).scene for name in names}, _SEED)
        for number in range(count):
            case = maker.case(number)
            kept = [operation for operation in case.operations if operation.kind not in _LEFT_OUT]
            outcome = executor.run(case.with_operations(kept))
            findings = [one for one in outcome.findings if ": message of " not in one.text]
            if findings:
                finding = findings[0]
                print(f"found: case {number}: {finding.rule}: {finding.text}")
                return EXIT_FAILED
    print(f"{count} cases, {time.process_time() - began:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
