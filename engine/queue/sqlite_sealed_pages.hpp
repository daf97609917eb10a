#pragma once

namespace kiban::engine {

constexpr int kPageBytes = 4096;
/// Bytes at the end of each page that SQLite leaves alone.
constexpr int kPageSealBytes = 8;

/// Name of a file layer of SQLite's that seals each page of a store when it is written, with its number, and looks at
/// the seal when it is read: a flipped bit or a page in the wrong place is a read error, and so is damage. (The journal
/// has checksums of SQLite's own.)
const char* sealed_pages();

}  // namespace kiban::engine
