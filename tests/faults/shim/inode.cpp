#include "tests/faults/shim/inode.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <sstream>

namespace kiban::faults {
namespace {

Inode inode_at(int folder, const char* name, int flags) {
  struct statx status {};
  Inode inode;
  if (statx(folder, name, flags, STATX_TYPE | STATX_INO | STATX_BTIME, &status) != 0) return inode;
  if (S_ISREG(status.stx_mode)) inode.kind = Inode::Kind::file;
  if (S_ISDIR(status.stx_mode)) inode.kind = Inode::Kind::folder;
  inode.key = std::to_string(status.stx_ino) + "-" + std::to_string(status.stx_btime.tv_sec) + "-" +
              std::to_string(status.stx_btime.tv_nsec);
  return inode;
}

}  // namespace

Inode inode_of(int fd) { return inode_at(fd, "", AT_EMPTY_PATH); }

std::string listing_of(int folder) {
  // A descriptor of its own: reading moves its position.
  const int own = static_cast<int>(syscall(SYS_openat, folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  DIR* const stream = own < 0 ? nullptr : fdopendir(own);
  if (!stream) return "";
  std::vector<std::string> lines;
  while (const dirent* const entry = readdir(stream)) {
    if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0) continue;
    const Inode inode = inode_at(own, entry->d_name, AT_SYMLINK_NOFOLLOW);
    if (inode.kind == Inode::Kind::other) continue;
    lines.push_back((inode.kind == Inode::Kind::file ? "f " : "d ") + inode.key + " " + entry->d_name + "\n");
  }
  closedir(stream);
  std::ranges::sort(lines);
  std::string listing;
  for (const std::string& line : lines) listing += line;
  return listing;
}

std::vector<Entry> entries_of(const std::string& listing) {
  std::vector<Entry> entries;
  std::istringstream lines(listing);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t after_key = line.find(' ', 2);
    Entry entry;
    entry.inode.kind = line[0] == 'f' ? Inode::Kind::file : Inode::Kind::folder;
    entry.inode.key = line.substr(2, after_key - 2);
    entry.name = line.substr(after_key + 1);
    entries.push_back(entry);
  }
  return entries;
}

}  // namespace kiban::faults
