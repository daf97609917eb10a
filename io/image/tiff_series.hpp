#pragma once
#include <filesystem>
#include <vector>

namespace kiban::io {

/// True for a folder and for a name with * or ? in its last part.
bool names_tiff_series(const std::filesystem::path& path);

/// The TIFF files of a folder, or those that match a pattern as `scan/projection_*.tif`, in natural order ("9" before
/// "10"). Errors: input (no such folder, no such file).
std::vector<std::filesystem::path> tiff_series(const std::filesystem::path& path);

}  // namespace kiban::io
