#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

#include "kernels/core/error.hpp"

namespace kiban::io {

/// "FILE: SENTENCE". What a sentence quotes from a file is made harmless: no control characters, ASCII only.
Error input_error(const std::filesystem::path& path, std::string sentence);

/// Bytes of a file that can be opened for reading.
/// Errors: input (missing, a folder, a device or pipe, no permission, empty).
std::int64_t input_file_size(const std::filesystem::path& path);

/// Up to `count` bytes from `offset` on. Errors: those of input_file_size · input (the disk failed).
std::string read_bytes(const std::filesystem::path& path, std::int64_t offset, std::int64_t count);

}  // namespace kiban::io
