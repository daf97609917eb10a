#pragma once
#include <cstdint>
#include <filesystem>
#include <vector>

namespace kiban::io {

/// 8 bits a channel, row-major, row 0 on top.
struct Picture {
  std::int64_t rows = 0, columns = 0;
  int channels = 1;  ///< 1: grey; 3: red, green, blue
  std::vector<std::uint8_t> pixels;
};

/// Errors: input (not named .png): for who wants to know before there is a picture.
void require_preview_name(const std::filesystem::path& path);

/// Errors: input (not named .png, or cannot be written).
void write_png(const std::filesystem::path& path, const Picture& picture);

}  // namespace kiban::io
