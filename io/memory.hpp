#pragma once
#include <cstdint>
#include <string>

namespace kiban::io {

/// To be called before an allocation whose size a file declared.
///   bytes   what would be allocated
///   what    begins the sentence, e.g. "scan.mha: 1000x1000x1000 voxels"
/// Errors: input (more than is free).
void require_memory(std::int64_t bytes, const std::string& what);

}  // namespace kiban::io
