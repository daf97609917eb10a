#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <random>

#include "tests/faults/shim/inode.hpp"
#include "tests/faults/shim/shadow.hpp"

namespace kiban::faults {
namespace {

namespace fs = std::filesystem;
using Content = std::optional<std::string>;

Content read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

Inode inode_at(const fs::path& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const Inode inode = inode_of(fd);
  close(fd);
  return inode;
}

std::string listing_at(const fs::path& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::string listing = listing_of(fd);
  close(fd);
  return listing;
}

/// Makes a folder anew from its shadow and from what was there before, which lies aside.
class Rebuilding {
 public:
  Rebuilding(const fs::path& store, const fs::path& before, Shadow::Unflushed unflushed, std::uint64_t seed)
      : store_(store), mixed_(unflushed == Shadow::Unflushed::mixed), random_(seed) {
    current_[inode_at(before).key] = before;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(before))
      if (entry.is_regular_file() || entry.is_directory()) current_[inode_at(entry.path()).key] = entry.path();
  }

  void folder(const std::string& key, const fs::path& path) {
    fs::create_directory(path);
    for (const Entry& entry : entries_of(listing(key))) {
      if (entry.inode.kind == Inode::Kind::folder)
        folder(entry.inode.key, path / entry.name);
      else
        file(entry.inode.key, path / entry.name);
    }
  }

 private:
  bool chance(double probability) { return mixed_ && std::bernoulli_distribution(probability)(random_); }

  std::string listing(const std::string& key) {
    const Content flushed = read(store_ / "folders" / key);
    const auto now = current_.find(key);
    return now != current_.end() && chance(0.5) ? listing_at(now->second) : flushed.value_or("");
  }

  void file(const std::string& key, const fs::path& path) {
    const auto [first, is_new] = made_.try_emplace(key, path);
    if (!is_new) return fs::create_hard_link(first->second, path);
    const std::string bytes = content(key);
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (const auto now = current_.find(key); now != current_.end())
      fs::permissions(path, fs::status(now->second).permissions());
  }

  std::string content(const std::string& key) {
    const std::string flushed = read(store_ / "files" / key).value_or("");
    const auto now = current_.find(key);
    if (now == current_.end() || !chance(0.67)) return flushed;
    const std::string written = read(now->second).value_or("");
    return chance(0.5) ? written : torn(flushed, written);
  }

  /// Each block as it was flushed, or as it was written last.
  std::string torn(const std::string& flushed, const std::string& written) {
    constexpr std::size_t kBlock = 4096;
    std::string result(chance(0.5) ? written.size() : flushed.size(), '\0');
    for (std::size_t at = 0; at < result.size(); at += kBlock) {
      const std::string& from = at < written.size() && chance(0.5) ? written : flushed;
      if (at < from.size()) from.copy(result.data() + at, std::min(kBlock, result.size() - at), at);
    }
    return result;
  }

  fs::path store_;
  bool mixed_;
  std::mt19937_64 random_;
  std::map<std::string, fs::path> current_, made_;
};

}  // namespace

void Shadow::flush_everything() const {
  fs::remove_all(store_);
  for (const char* folder : {"files", "folders", "locks", "unfinished"})
    fs::create_directories(fs::path(store_) / folder);
  const auto flush_path = [this](const fs::path& path) {
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const bool flushed = file >= 0 && flush(file);
    const int failure = errno;
    close(file);
    if (!flushed) throw fs::filesystem_error("flush", path, {failure, std::generic_category()});
  };
  flush_path(root_);
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root_))
    if (entry.is_regular_file() || entry.is_directory()) flush_path(entry.path());
}

void Shadow::fail_power(Unflushed unflushed, std::uint64_t seed) const {
  const fs::path before = root_ + ".before-power-failure";
  fs::rename(root_, before);
  Rebuilding(store_, before, unflushed, seed).folder(inode_at(before).key, root_);
  fs::remove_all(before);
  flush_everything();
}

}  // namespace kiban::faults
