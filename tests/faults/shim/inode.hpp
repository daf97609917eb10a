#pragma once
#include <string>
#include <vector>

namespace kiban::faults {

/// What stands behind names: a number is used again after a file is removed, with another time of birth.
struct Inode {
  enum class Kind { file, folder, other };
  Kind kind = Kind::other;
  std::string key;
};

Inode inode_of(int fd);

struct Entry {
  Inode inode;
  std::string name;
};

/// The names in a folder, sorted, a line each: "f key name", "d key name". What is neither a file nor a folder is left
/// out.
std::string listing_of(int folder);
std::vector<Entry> entries_of(const std::string& listing);

}  // namespace kiban::faults
