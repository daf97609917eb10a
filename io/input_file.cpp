#include "io/input_file.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>

namespace kiban::io {

namespace fs = std::filesystem;

Error input_error(const fs::path& path, std::string sentence) {
  std::replace_if(
      sentence.begin(), sentence.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return {ErrorCode::input, fmt::format("{}: {}", path.string(), sentence)};
}

std::int64_t input_file_size(const fs::path& path) {
  const auto refuse = [&](const std::string& why) { throw input_error(path, why); };
  std::error_code failure;
  const fs::file_status status = fs::status(path, failure);
  if (status.type() == fs::file_type::not_found) refuse("no such file; check the name");
  if (status.type() == fs::file_type::none) refuse(fmt::format("cannot be reached ({})", failure.message()));
  if (fs::is_directory(status)) refuse("is a folder; name a file in it");
  if (!fs::is_regular_file(status)) refuse("is not a plain file; copy its content to one");
  if (access(path.c_str(), R_OK) != 0) refuse("no permission to read it; change its permissions");
  const auto size = static_cast<std::int64_t>(fs::file_size(path, failure));
  if (failure) refuse(fmt::format("cannot be reached ({})", failure.message()));
  if (size == 0) refuse("is empty; write it again");
  return size;
}

std::string read_bytes(const fs::path& path, std::int64_t offset, std::int64_t count) {
  const std::int64_t size = input_file_size(path);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  std::string bytes(static_cast<std::size_t>(std::clamp<std::int64_t>(size - offset, 0, count)), '\0');
  if (!file || fseeko(file.get(), offset, SEEK_SET) != 0 ||
      std::fread(bytes.data(), 1, bytes.size(), file.get()) != bytes.size())
    throw input_error(path, fmt::format("cannot be read ({}); check the disk", std::generic_category().message(errno)));
  return bytes;
}

}  // namespace kiban::io
