#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <random>
#include <set>

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

void write(const fs::path& path, const std::string& content) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  if (!file.flush()) throw fs::filesystem_error("write", path, {errno, std::generic_category()});
}

/// Calls `action` with a descriptor of the file or folder.
template <class Action>
auto opened(const fs::path& path, const Action& action) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw fs::filesystem_error("open", path, {errno, std::generic_category()});
  auto result = action(fd);
  close(fd);
  return result;
}

std::vector<fs::path> everything_below(const fs::path& root) {
  std::vector<fs::path> paths;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root))
    if (entry.is_regular_file() || entry.is_directory()) paths.push_back(entry.path());
  std::ranges::sort(paths);  // a folder before what is in it
  return paths;
}

/// Makes a folder what its shadow says, in place: what stays keeps its inode, for there may be thousands.
class Rebuilding {
 public:
  Rebuilding(const Shadow& shadow, const fs::path& root, const fs::path& store, Shadow::Unflushed unflushed,
             std::uint64_t seed)
      : shadow_(shadow),
        root_(root),
        store_(store),
        aside_(root.string() + ".aside"),
        mixed_(unflushed == Shadow::Unflushed::mixed),
        random_(seed) {}

  void run() {
    look();
    want(opened(root_, inode_of).key, root_);
    fs::create_directory(aside_);
    take_away();
    put_in_place();
    for (const auto& [key, path] : wanted_files_) set_content(key, path);
    for (const auto& [path, inode] : wanted_)
      if (inode.kind == Inode::Kind::folder) flush_if_new(path, "folders", opened(path, listing_of));
    flush_if_new(root_, "folders", opened(root_, listing_of));
    fs::remove_all(aside_);
  }

 private:
  bool chance(double probability) { return mixed_ && std::bernoulli_distribution(probability)(random_); }

  void look() {
    for (const fs::path& path : everything_below(root_)) {
      const Inode inode = opened(path, inode_of);
      now_[path] = inode;
      where_[inode.key] = path;
    }
    where_[opened(root_, inode_of).key] = root_;
  }

  /// What the folder has after the failure, and all below it.
  void want(const std::string& key, const fs::path& path) {
    const auto now = where_.find(key);
    const std::string flushed = read(store_ / "folders" / key).value_or("");
    for (Entry& entry : entries_of(now != where_.end() && chance(0.5) ? opened(now->second, listing_of) : flushed)) {
      const fs::path below = path / entry.name;
      if (entry.inode.kind == Inode::Kind::folder)
        want(entry.inode.key, below);
      else
        wanted_files_.try_emplace(entry.inode.key, below);
      wanted_[below] = entry.inode;
    }
  }

  /// Names that are not there any more. The files behind them may have another.
  void take_away() {
    for (auto entry = now_.rbegin(); entry != now_.rend(); ++entry) {
      const auto& [path, inode] = *entry;
      const auto wanted = wanted_.find(path);
      const bool stays = wanted != wanted_.end() && wanted->second.kind == inode.kind &&
                         (wanted->second.key == inode.key || inode.kind == Inode::Kind::folder);
      if (stays) continue;
      if (inode.kind == Inode::Kind::folder) {
        fs::remove(path);
      } else {
        fs::rename(path, where_[inode.key] = aside_ / inode.key);
      }
      gone_.insert(path);
    }
  }

  void put_in_place() {
    for (const auto& [path, inode] : wanted_) {
      const bool is_there = now_.contains(path) && !gone_.contains(path);
      if (is_there) continue;
      if (inode.kind == Inode::Kind::folder) {
        fs::create_directory(path);
      } else if (const auto now = where_.find(inode.key); now != where_.end()) {
        fs::create_hard_link(now->second, path);
      } else {
        write(path, "");
        where_[inode.key] = path;
      }
    }
  }

  void set_content(const std::string& key, const fs::path& path) {
    const std::string flushed = read(store_ / "files" / key).value_or(""), written = read(path).value_or("");
    const std::string content = !chance(0.67) ? flushed : chance(0.5) ? written : torn(flushed, written);
    if (content != written) write(path, content);
    flush_if_new(path, "files", content);
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

  /// From here on what is there counts as flushed.
  void flush_if_new(const fs::path& path, const char* kind, const std::string& content) {
    const std::string key = opened(path, inode_of).key;
    if (read(store_ / kind / key) == content) return;
    if (!opened(path, [this](int fd) { return shadow_.flush(fd); }))
      throw fs::filesystem_error("flush", path, {errno, std::generic_category()});
  }

  const Shadow& shadow_;
  fs::path root_, store_, aside_;
  bool mixed_;
  std::mt19937_64 random_;
  std::map<fs::path, Inode> now_, wanted_;        ///< by name; a folder before what is in it
  std::map<std::string, fs::path> where_;         ///< a name of each inode that is there
  std::map<std::string, fs::path> wanted_files_;  ///< one name of each inode
  std::set<fs::path> gone_;
};

}  // namespace

void Shadow::flush_everything() const {
  fs::remove_all(store_);
  for (const char* folder : {"files", "folders", "locks", "unfinished"})
    fs::create_directories(fs::path(store_) / folder);
  std::vector<fs::path> paths = everything_below(root_);
  paths.insert(paths.begin(), root_);
  for (const fs::path& path : paths)
    if (!opened(path, [this](int fd) { return flush(fd); }))
      throw fs::filesystem_error("flush", path, {errno, std::generic_category()});
}

void Shadow::fail_power(Unflushed unflushed, std::uint64_t seed) const {
  Rebuilding(*this, root_, store_, unflushed, seed).run();
}

}  // namespace kiban::faults
