#pragma once
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "engine/operation.hpp"

/// What the engine asks about files, and leaves to those who know formats: defined in engine/operations/.
namespace kiban::engine {

/// All files that an input of this kind consists of, `path` among them or not: the slices of a folder, the pixels
/// beside a header. The runner keeps outputs off them.
std::vector<std::filesystem::path> files_behind(PortKind kind, const std::filesystem::path& path);

/// What an output of this kind may bring beside it, under its name and more: the index of compressed variants.
std::vector<std::filesystem::path> files_beside(PortKind kind, const std::filesystem::path& path);

/// What a format is told by: ".nii.gz", not ".gz".
std::string full_extension(const std::filesystem::path& path);

/// Where a link leads in the end, also where nothing is there yet; any other path is its own target.
///   failure   set where that cannot be told
std::filesystem::path link_target(const std::filesystem::path& path, std::error_code& failure);

/// `Work::store`, but what it writes and names need not be on the disk when it returns: the caller flushes files and
/// folders, as `seal` does.
void store_unflushed(Work& work, Progress& progress);

}  // namespace kiban::engine
