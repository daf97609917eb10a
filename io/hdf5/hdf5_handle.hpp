#pragma once
#include <hdf5.h>

#include <utility>

#include "io/library_lock.hpp"

// The seam to HDF5: included by .cpp files of this folder only.
namespace kiban::io {

/// Alive around all that calls HDF5 and closes its handles. Nothing is printed: it would be HDF5's whole stack of
/// calls, and our sentence says what matters; each thread is told so, for each has its own setting. Nothing is left to
/// be done at exit: where a file could not be closed (a full disk), HDF5 1.10 crashes there.
class Hdf5Calls {
 public:
  Hdf5Calls() {
    [[maybe_unused]] static const herr_t prepared = H5dont_atexit();
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }
  ~Hdf5Calls() { H5Eclear2(H5E_DEFAULT); }  // what went wrong is kept for each thread, and lost with it
  Hdf5Calls(const Hdf5Calls&) = delete;
  Hdf5Calls& operator=(const Hdf5Calls&) = delete;

 private:
  LibraryLock lock_;
};

/// Owns an HDF5 identifier; invalid where the call that made it failed.
class Hdf5Handle {
 public:
  using Close = herr_t (*)(hid_t);
  Hdf5Handle() = default;
  Hdf5Handle(hid_t id, Close closer) : id_(id), close_(closer) {}
  Hdf5Handle(Hdf5Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Hdf5Handle& operator=(Hdf5Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  ~Hdf5Handle() {
    if (id_ >= 0) close_(id_);
  }

  explicit operator bool() const { return id_ >= 0; }
  hid_t id() const { return id_; }
  /// Closes now; false where HDF5 could not write what it still held.
  bool close() { return close_(std::exchange(id_, -1)) >= 0; }

 private:
  hid_t id_ = -1;
  Close close_ = nullptr;
};

}  // namespace kiban::io
