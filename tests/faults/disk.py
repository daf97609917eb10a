"""A folder that stands for the disk of a machine, and what the preloaded library does to processes that use it."""

import os
import shutil
import struct
import subprocess
import tempfile
import uuid
from pathlib import Path

SHIM = os.environ.get("KIBAN_FAULT_SHIM", "")
TOOL = os.environ.get("KIBAN_FAULT_DISK", "")
SWITCHES = ("wall_clock_shift_s", "disk_full", "read_only", "flush_fails")  # as in shim/control.hpp


class Disk:
    """`root` is the disk; everything else lies outside of it, in memory where that can be."""

    def __init__(self, mutant=None):
        memory = "/dev/shm" if os.path.isdir("/dev/shm") and shutil.disk_usage("/dev/shm").free > 4 << 30 else None
        self.folder = Path(tempfile.mkdtemp(prefix="kiban-faults-", dir=memory)).resolve()
        self.outside = Path(tempfile.mkdtemp(prefix="kiban-faults-", dir=memory)).resolve()
        self.root, self.shadow, self.control = self.folder / "disk", self.outside / "shadow", self.outside / "control"
        self.root.mkdir()
        for name in ("armed", "fired"):
            (self.control / name).mkdir(parents=True)
        self.switches = open(self.control / "switches", "w+b", buffering=0)
        self.switches.write(bytes(8 * len(SWITCHES)))
        self.mutant = dict(mutant or {})
        self.orders = 0
        self.new_boot()
        self.everything_is_flushed()

    def environment(self, role):
        """Of a process that lives on this disk."""
        return {**os.environ, **self.mutant, "LD_PRELOAD": SHIM, "KIBAN_FAULT_ROOT": str(self.root),
                "KIBAN_FAULT_SHADOW": str(self.shadow), "KIBAN_FAULT_CONTROL": str(self.control),
                "KIBAN_FAULT_HARNESS": str(os.getpid()), "KIBAN_FAULT_ROLE": role}

    def switch(self, name, value):
        os.pwrite(self.switches.fileno(), struct.pack("q", value), 8 * SWITCHES.index(name))

    def everything_is_flushed(self):
        subprocess.run([TOOL, "flush", self.root, self.shadow], check=True)

    def fail_power(self, unflushed, seed):
        """No process may live any more. The machine has booted again when this returns."""
        subprocess.run([TOOL, "fail", self.root, self.shadow, unflushed, str(seed)], check=True)
        self.new_boot()

    def new_boot(self):
        written = self.control / "boot_id.new"
        written.write_text(f"{uuid.uuid4()}\n")
        written.rename(self.control / "boot_id")

    def arm(self, point, action, hit=1, role="*"):
        """The `hit`-th process of such a role that comes by is killed or stopped, once. Returns the order's name."""
        self.orders += 1
        order = str(self.orders)
        written = self.control / "order"
        written.write_text(f"{action} {hit} {role} {order}\n")
        written.rename(self.control / "armed" / point)
        return order

    def fired(self, order):
        """The process that the order hit and its parent, or None."""
        for name in os.listdir(self.control / "fired"):
            if name.split(".", 1)[0] == order:
                return tuple(int(word) for word in name.split(".")[-2:])
        return None

    def disarm(self, point):
        (self.control / "armed" / point).unlink(missing_ok=True)

    def close(self):
        self.switches.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.outside, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
