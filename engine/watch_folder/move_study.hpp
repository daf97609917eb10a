#pragma once
#include <filesystem>
#include <string>

namespace kiban::engine {

/// Moves a study folder into another folder, under its own name or, where that is taken, with a number behind it; on
/// another file system by a copy that is on the disk before the original goes.
///   reason   text for `<name>.reason.txt` beside it, which is on the disk before the study is; empty: no such file
/// Returns where it is. Errors: input (not permitted, full, gone, or changed while it was copied); then the study is
/// where it was.
std::filesystem::path move_study(const std::filesystem::path& study, const std::filesystem::path& into,
                                 const std::string& reason);

}  // namespace kiban::engine
