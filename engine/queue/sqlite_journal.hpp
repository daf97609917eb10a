#pragma once
#include <filesystem>

namespace kiban::engine {

/// Looks at the journal (SQLite's write-ahead log) of a store that nobody has open. SQLite takes the first frame that
/// does not check out for the end of the log; that is right for a transaction that was being written when power failed,
/// and would silently lose what was acknowledged if it were damage. They differ: each transaction is flushed before the
/// next begins, so behind a torn one there is nothing that was committed.
/// Errors: input (damaged).
void require_whole_journal(const std::filesystem::path& file);

}  // namespace kiban::engine
