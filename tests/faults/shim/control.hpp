#pragma once
#include <cstdint>
#include <string>

#include "tests/faults/shim/shadow.hpp"

/// What tests/faults/*.py tell the processes into which this library is loaded, by their environment:
///   KIBAN_FAULT_ROOT      the folder that stands for the disk
///   KIBAN_FAULT_SHADOW    its shadow
///   KIBAN_FAULT_CONTROL   a folder with `switches`, `armed/`, `fired/` and, if it is there, `boot_id`
///   KIBAN_FAULT_HARNESS   the process id of the harness
///   KIBAN_FAULT_ROLE      what the process is called in reports
///   KIBAN_FAULT_UNFLUSHED patterns, as of a shell, of names below the root, `:` between them: flushing these has no
///                         effect. A mutant
///   KIBAN_FAULT_TOKEN     `ignored`: a lease's token is not compared. A mutant
///   KIBAN_FAULT_SCRIPT    SQL that the first connection runs
namespace kiban::faults {

/// The file `switches`, shared by all: bytes that the harness changes at any time.
struct Switches {
  volatile std::int64_t wall_clock_shift_s;
  volatile std::int64_t disk_full;    ///< whatever grows a file, or makes a folder, gets ENOSPC
  volatile std::int64_t read_only;    ///< whatever changes anything gets EROFS
  volatile std::int64_t flush_fails;  ///< fsync gets EIO, and nothing was flushed
};

struct Control {
  Control();
  const Switches* switches;  ///< never null
  std::string folder, role;  ///< folder is "" where nothing is armed
  std::string unflushed;
  bool has_root;
  Shadow disk;
};

/// Of this process; made when it is first asked for.
const Control& control();

}  // namespace kiban::faults
