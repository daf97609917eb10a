#include <algorithm>

#include "kernels/core/parallel.hpp"
#include "kernels/ct/scan_volumes.hpp"

namespace kiban::ct::cpu {

/// values = factor * values + offset.
void scale_values(Stream& stream, float factor, float offset, std::int64_t voxels, const VolumePointers& volumes,
                  std::int64_t scans) {
  constexpr std::int64_t kPiece = std::int64_t{1} << 16;
  const std::int64_t pieces = (voxels + kPiece - 1) / kPiece;  // of a volume
  parallel_for(stream, scans * pieces, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t piece = begin; piece < end; ++piece) {
      float* const values = volumes.of_scan[piece / pieces];
      if (!values) continue;
      const std::int64_t first = piece % pieces * kPiece, last = std::min(first + kPiece, voxels);
      for (std::int64_t i = first; i < last; ++i) values[i] = factor * values[i] + offset;
    }
  });
}

}  // namespace kiban::ct::cpu
