#include <algorithm>
#include <vector>

#include "kernels/core/parallel.hpp"
#include "kernels/image/surface.hpp"

namespace kiban::image::cpu {
namespace {

#define KIBAN_HD
#include "kernels/image/surface_math-inl.hpp"
#undef KIBAN_HD

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

}  // namespace

void find_codes(Stream& stream, const ConstVoxelSpan& labels, std::uint32_t label, const VoxelBox& box,
                Span<std::uint8_t, 3> codes) {
  const ArrayView<std::uint8_t, 3> target = codes.host();
  with_label_type(labels.type(), [&]<class T>() {
    const T* const values = static_cast<const T*>(labels.data());
    const CornerFrame frame = corner_frame<CornerFrame>(labels, box);
    parallel_for(stream, target.shape[0], 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t z = begin; z < end; ++z)
        for (std::int64_t y = 0; y < target.shape[1]; ++y)
          for (std::int64_t x = 0; x < target.shape[2]; ++x) target(z, y, x) = code_at(values, frame, label, z, y, x);
    });
  });
}

void mark_inner(Stream& stream, Span<const std::uint8_t, 3> codes, Span<std::uint8_t, 3> inner) {
  const ArrayView<const std::uint8_t, 3> from = codes.host();
  std::uint8_t* const to = inner.host().data;
  parallel_for(stream, from.size(), 1 << 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) to[i] = from.data[i] == 0 || from.data[i] == 255;
  });
}

void collect_surfels(Stream& stream, Span<const std::uint8_t, 3> codes, Span<const float, 3> distances,
                     Surfels& surfels) {
  const ArrayView<const std::uint8_t, 3> from = codes.host();
  const float* const mm = distances.host().data;
  const std::int64_t slice = from.shape[1] * from.shape[2];
  std::vector<Surfels> of_slice(at(from.shape[0]));
  parallel_for(stream, from.shape[0], 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t z = begin; z < end; ++z)
      for (std::int64_t i = z * slice; i < (z + 1) * slice; ++i) {
        if (from.data[i] == 0 || from.data[i] == 255) continue;
        of_slice[at(z)].mm.push_back(mm[i]);
        of_slice[at(z)].codes.push_back(from.data[i]);
      }
  });
  for (const Surfels& part : of_slice) {
    surfels.mm.insert(surfels.mm.end(), part.mm.begin(), part.mm.end());
    surfels.codes.insert(surfels.codes.end(), part.codes.begin(), part.codes.end());
  }
}

void write_equal(Stream& stream, const ConstVoxelSpan& labels, const ConstVoxelSpan& reference,
                 const VoxelSpan& equal) {
  with_label_type(labels.type(), [&]<class T>() {
    with_label_type(reference.type(), [&]<class U>() {
      const T* const one = static_cast<const T*>(labels.data());
      const U* const other = static_cast<const U*>(reference.data());
      T* const to = static_cast<T*>(equal.data());
      parallel_for(stream, labels.size(), 1 << 16, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i)
          to[i] = static_cast<std::uint32_t>(one[i]) == static_cast<std::uint32_t>(other[i]) ? one[i] : T(0);
      });
    });
  });
}

}  // namespace kiban::image::cpu
