"""Runs of the workload in one project, whatever befalls them, and the oracle at the end. Any warehouse: what is asked of the project
is settle(), state(), cells(), leftovers() and the mirror's path.
"""

import json

import workload

# Small enough that a run of the workload spills, commits several times and slices some commits, and that rows go ahead of it.
KNOBS = {"SL_COMMIT_BYTES": 12000, "SL_SLICE_BYTES": 30000, "SL_BUFFER_BYTES": 6000,
         "SL_AHEAD_BYTES": 1000, "SL_AHEAD_IN_TURN": 1}  # fmt: skip
# One commit a checkpoint, none of them sliced; what goes ahead is left to chance.
WHOLE = {
    "SL_COMMIT_BYTES": 1,
    "SL_BUFFER_BYTES": 6000,
    "SL_AHEAD_BYTES": 1000,
    "SL_AHEAD_IN_TURN": 0,
}


class Rig:
    """A project and the runs made in it so far."""

    def __init__(self, project):
        self.project = project
        self.run = 0
        self.states = []  # committed step after each run
        self.results = []

    def committed(self):
        """The committed step; also that the warehouse opens and its state is one of the workload's checkpoints."""
        self.project.settle()
        return self.step()

    def step(self):
        """The same while an engine may be at work."""
        state = self.project.state()
        self.project.let_go()
        step = json.loads(state or "{}").get("step", 0)
        assert 0 <= step <= workload.STEPS and step == int(step)
        return step

    def emit(self, env=None, die_at=None):
        """One run with frames from here. die_at: close the socket, as a killed connector does, before that many operations."""
        self.run += 1
        sync = self.project.sync(env={**KNOBS, **(env or {})}, schema=workload.SCHEMA)
        n = 0
        if sync.start is None:
            return self.ended(sync.close())
        for step in range(json.loads(sync.state).get("step", 0), workload.STEPS):
            for what, table, values in workload.operations(step, self.run):
                n += 1
                if n == die_at:
                    sync.flush()
                    return self.ended(sync.close())
                if what == "truncate":
                    sync.truncate(table)
                else:
                    getattr(sync, what)(table, values)
                if sync.broken:
                    return self.ended(sync.close())
            sync.checkpoint({"step": step + 1})
        return self.ended(sync.done())

    def begin(self, env, steps, until=None):
        """A run as far as so many steps, and until this event; the caller ends it, by ended() if its outcome is to count."""
        self.run += 1
        sync = self.project.sync(env={**KNOBS, **env}, schema=workload.SCHEMA)
        if sync.start is None:
            return sync
        for step in range(json.loads(sync.state).get("step", 0), steps):
            for what, table, values in workload.operations(step, self.run):
                sync.truncate(table) if what == "truncate" else getattr(sync, what)(table, values)
            sync.checkpoint({"step": step + 1})
        sync.flush()
        assert until is None or until.wait(60)
        return sync

    def ended(self, result):
        before = self.states[-1] if self.states else 0
        self.states.append(self.committed())
        assert self.states[-1] >= before, "the state went back"
        self.results.append(result)
        return result

    def check(self):
        """After a clean run: every table equals its oracle, the state is the last checkpoint, nothing is left over."""
        assert self.states[-1] == workload.STEPS
        runs = [
            next(r + 1 for r, s in enumerate(self.states) if s > step)
            for step in range(workload.STEPS)
        ]
        for name, want in workload.expected(runs).items():
            got = {}
            for cells in self.project.cells(name):
                deleted = cells["_fivetran_deleted"]
                row = {k: v for k, v in cells.items() if v is not None and k[0] != "_"}
                key = row["id"] if "id" in row else (row["step"], row["i"])
                assert key not in got, "%s: %r is there twice" % (name, key)
                got[key] = (workload.plain(row), deleted)
            assert got == want, "%s after runs that committed up to %s" % (name, self.states)
        self.project.let_go()
        with open(self.project.mirror) as f:
            assert json.load(f) == {"step": workload.STEPS}
        assert self.project.leftovers() == []
