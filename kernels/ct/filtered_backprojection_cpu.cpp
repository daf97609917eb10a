#include "kernels/core/array.hpp"
#include "kernels/core/parallel.hpp"

namespace kiban::ct::cpu {

/// values = factor * values + offset.
void scale_values(Stream& stream, float factor, float offset, Span<float, 3> volume) {
  float* values = volume.host().data;
  parallel_for(stream, volume.size(), std::int64_t{1} << 16, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) values[i] = factor * values[i] + offset;
  });
}

}  // namespace kiban::ct::cpu
