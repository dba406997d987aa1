"""Job states on a SLURM cluster without accounting, where submitit would wait forever for a killed job."""

from __future__ import annotations

from submitit.slurm import slurm

GONE = "GONE"  # the state of a job that has left the queue: it ended, or was killed


class Queue(slurm.SlurmInfoWatcher):
    """Asks squeue, which forgets a job minutes after its end, where submitit asks sacct."""

    def _make_command(self) -> list[str] | None:
        if self._registered <= self._finished:
            return None
        return ["squeue", "--me", "--array", "--states=all", "--noheader", "--format=%i|%T"]

    def read_info(self, string: bytes | str) -> dict[str, dict[str, str]]:
        """The state of every job that has not ended."""
        text = string if isinstance(string, str) else string.decode()
        states = dict(line.strip().split("|", 1) for line in text.splitlines() if "|" in line)
        return {job: {"State": states.get(job, GONE)} for job in self._registered - self._finished}


def watch() -> None:
    """Let all jobs of submitit have their states from squeue."""
    slurm.SlurmJob.watcher = Queue(delay_s=60)
