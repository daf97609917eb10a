#include <algorithm>
#include <vector>

#include "kernels/core/parallel.hpp"
#include "kernels/image/morphology.hpp"

namespace kiban::image::cpu {
namespace {

#define KIBAN_HD
#include "kernels/image/nearest_math-inl.hpp"
#undef KIBAN_HD

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

template <class T>
struct SpreadMemory {
  std::vector<std::int32_t> sites;
  std::vector<float> begins, squares;
  std::vector<T> labels;

  void resize(std::int64_t length) {
    sites.resize(at(length));
    begins.resize(at(length));
    squares.resize(at(length));
    labels.resize(at(length));
  }
};

template <class T>
struct SpreadLists {
  SpreadMemory<T>& memory;
  std::int32_t& site(std::int64_t k) const { return memory.sites[at(k)]; }
  float& from(std::int64_t k) const { return memory.begins[at(k)]; }
  float& new_square(std::int64_t j) const { return memory.squares[at(j)]; }
  T& new_label(std::int64_t j) const { return memory.labels[at(j)]; }
};

/// Columns [begin, end) of the volume whose voxels are `stride` apart: so many side by side that lines of memory are
/// used whole.
template <class T>
void spread_columns(float* squares, T* labels, std::int64_t columns, std::int64_t length, std::int64_t stride,
                    float step, float most, SpreadMemory<T>& memory) {
  memory.resize(length);
  for (std::int64_t c = 0; c < columns; ++c) {
    const LabelLine<T> line{squares + c, labels + c, length, stride, step, most};
    spread_along(line, SpreadLists<T>{memory});
    for (std::int64_t j = 0; j < length; ++j) {
      line.squares[j * stride] = memory.squares[at(j)];
      line.labels[j * stride] = memory.labels[at(j)];
    }
  }
}

}  // namespace

void spread_labels(Stream& stream, const VoxelSpan& result, const std::array<float, 3>& step, float most,
                   Span<float, 3> squares) {
  const std::int64_t slices = result.extent(0), rows = result.extent(1), columns = result.extent(2);
  constexpr std::int64_t kColumns = 32;
  float* const all_squares = squares.host().data;
  with_label_type(result.type(), [&]<class T>() {
    T* const labels = static_cast<T*>(result.data());
    parallel_for(stream, slices, 1, [&](std::int64_t begin, std::int64_t end) {
      SpreadMemory<T> memory;
      for (std::int64_t z = begin; z < end; ++z) {
        const std::int64_t slice = z * rows * columns;
        for (std::int64_t i = slice; i < slice + rows * columns; ++i) all_squares[i] = labels[i] != 0 ? 0 : kNowhere;
        for (std::int64_t y = 0; y < rows; ++y)
          spread_columns(all_squares + slice + y * columns, labels + slice + y * columns, 1, columns, 1, step[0], most,
                         memory);
        for (std::int64_t x = 0; x < columns; x += kColumns)
          spread_columns(all_squares + slice + x, labels + slice + x, std::min(kColumns, columns - x), rows, columns,
                         step[1], most, memory);
      }
    });
    const std::int64_t slice = rows * columns;
    parallel_for(stream, (slice + kColumns - 1) / kColumns, 1, [&](std::int64_t begin, std::int64_t end) {
      SpreadMemory<T> memory;
      for (std::int64_t x = begin * kColumns; x < std::min(end * kColumns, slice); x += kColumns) {
        const std::int64_t count = std::min(kColumns, slice - x);
        spread_columns(all_squares + x, labels + x, count, slices, slice, step[2], most, memory);
        for (std::int64_t z = 0; z < slices; ++z)
          for (std::int64_t i = z * slice + x; i < z * slice + x + count; ++i)
            if (!(all_squares[i] <= most)) labels[i] = 0;
      }
    });
  });
}

void keep_deep(Stream& stream, const VoxelSpan& labels, Span<const float, 3> distances, float radius_mm,
               const ConstVoxelSpan& kept) {
  const float* const depth = distances.host().data;
  with_label_type(labels.type(), [&]<class T>() {
    T* const values = static_cast<T*>(labels.data());
    const T* const always = static_cast<const T*>(kept.data());
    parallel_for(stream, labels.size(), 1 << 16, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const bool stays = depth[i] > radius_mm || (always && always[i] != 0);
        values[i] = stays ? values[i] : T(0);
      }
    });
  });
}

}  // namespace kiban::image::cpu
