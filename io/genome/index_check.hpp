#pragma once
#include <filesystem>

namespace kiban::io {

/// HTSlib believes what an index says: a BAI or TBI that is cut short crashes it, a CSI without a root keeps it in a
/// loop. So each is walked to its end before HTSlib sees it.
/// Errors: input (cut short; counts that cannot be; offsets beyond the end of the file it is of).
///   index   .bai, .csi or .tbi
///   of      the file that it is of
void require_sound_index(const std::filesystem::path& index, const std::filesystem::path& of);

/// The same for the .gzi of a bgzipped FASTA.
void require_sound_gzi(const std::filesystem::path& index, const std::filesystem::path& of);

}  // namespace kiban::io
