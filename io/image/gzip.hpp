#pragma once
#include <filesystem>

namespace kiban::io {

/// Compresses a file: deflate at level 1, blocks of fixed size on all cores, one gzip member; the same bytes whatever
/// the number of threads. (NIfTI's own writer compresses 256^3 floats at level 6 on one core for 5 to 7 s.)
///   from      an existing file
///   to        overwritten
///   asked_for the name for the error's sentence
/// Errors: input (`to` cannot be written).
void gzip_file(const std::filesystem::path& from, const std::filesystem::path& to,
               const std::filesystem::path& asked_for);

}  // namespace kiban::io
