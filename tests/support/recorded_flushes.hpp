#pragma once
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <mutex>
#include <utility>
#include <vector>

/// A test's fsync: it flushes, and keeps in mind what. For one source of a program, which thereby takes the place of
/// the library's for all that is linked to it.
namespace kiban::test {

class RecordedFlushes {
 public:
  using Place = std::pair<dev_t, ino_t>;

  void add(int file) {
    struct stat status {};
    if (fstat(file, &status) != 0) return;
    const std::lock_guard lock(mutex_);
    places_.emplace_back(status.st_dev, status.st_ino);
  }
  void forget() {
    const std::lock_guard lock(mutex_);
    places_.clear();
  }
  std::size_t count() const {
    const std::lock_guard lock(mutex_);
    return places_.size();
  }
  /// How often the file or folder that has this name now was flushed.
  std::ptrdiff_t of(const std::filesystem::path& path) const {
    const Place place = place_of(path);
    const std::lock_guard lock(mutex_);
    return std::ranges::count(places_, place);
  }
  /// When it was, as the number of flushes before that; -1: never.
  std::ptrdiff_t first(const std::filesystem::path& path) const {
    const Place place = place_of(path);
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find(places_, place);
    return found == places_.end() ? -1 : found - places_.begin();
  }
  std::ptrdiff_t last(const std::filesystem::path& path) const {
    const Place place = place_of(path);
    const std::lock_guard lock(mutex_);
    const auto found = std::find(places_.rbegin(), places_.rend(), place);
    return places_.rend() - found - 1;
  }

 private:
  static Place place_of(const std::filesystem::path& path) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) return {};
    return {status.st_dev, status.st_ino};
  }

  mutable std::mutex mutex_;
  std::vector<Place> places_;
};

inline RecordedFlushes& flushes() {
  static RecordedFlushes recorded;
  return recorded;
}

}  // namespace kiban::test

extern "C" int fsync(int file) {
  kiban::test::flushes().add(file);
  return static_cast<int>(syscall(SYS_fsync, file));
}
