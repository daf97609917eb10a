#pragma once

namespace kiban::cli {

/// From here on SIGINT, SIGTERM and SIGHUP ask the run to stop at its next step; a second one ends the process at once,
/// partial outputs removed.
void watch_signals();

/// The signal that asked to stop, or 0.
int received_signal();

}  // namespace kiban::cli
