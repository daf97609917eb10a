#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>

#include "kernels/core/stream.hpp"

namespace kiban::io {

/// Compresses a file: deflate at level 1, blocks of fixed size in parallel, one gzip member; the same bytes whatever
/// the number of threads. (NIfTI's own writer compresses 256^3 floats at level 6 on one core for 5 to 7 s.)
///   from        an existing file
///   to          overwritten
///   asked_for   the name for the error's sentence
///   threads     on the CPU
///   check_stop  called before every 32 MiB; to stop, it throws
/// Errors: input (`to` cannot be written) · what `check_stop` throws.
void gzip_file(const std::filesystem::path& from, const std::filesystem::path& to,
               const std::filesystem::path& asked_for, const Stream& threads, const std::function<void()>& check_stop);

/// Inflates a zlib or gzip stream (of one or more members) and throws the result away. To be called before a library
/// reads it: some of them fill what is missing with zeros and say nothing.
///   path     the file that holds it, from `offset` on
///   expected bytes that it should hold at least
/// Errors: input (broken or truncated, or it holds less).
/// Cost: one pass, about 0.3 s for 64 MiB.
void verify_deflated(const std::filesystem::path& path, std::int64_t offset, std::int64_t expected);

}  // namespace kiban::io
