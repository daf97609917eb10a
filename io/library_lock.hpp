#pragma once

namespace kiban::io {

/// Held around every call of a library with global state (ITK's, HDF5): one caller at a time, and fork() waits until
/// none is under way, so that a child finds them at rest and not locked by a thread that it does not have. Not to be
/// held twice by one thread.
class LibraryLock {
 public:
  LibraryLock();
  ~LibraryLock();
  LibraryLock(const LibraryLock&) = delete;
  LibraryLock& operator=(const LibraryLock&) = delete;
};

}  // namespace kiban::io
