// Weighted sums: along x into a volume of floats, then along y and z at once where their taps are few, else one after
// the other. A thread a voxel; taps lie side by side for neighbours along x.
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "kernels/core/cuda/launch.cuh"
#include "kernels/image/resample.hpp"
#include "kernels/image/resample_backends.hpp"

namespace kiban::image::KIBAN_CUDA_NAMESPACE {
namespace {

#include "kernels/image/resample_math-inl.hpp"

constexpr unsigned kBlock = 256;
constexpr std::int64_t kTapsAtOnce = 32;

struct DeviceTaps {
  const std::int32_t* first;
  const float* weights;
  std::int64_t outputs, count, begin, end;

  KIBAN_DEVICE bool holds(std::int64_t output) const { return output >= begin && output < end; }
};

/// Taps in device memory, which this owns.
template <class Weight>
class TapsThere {
 public:
  TapsThere(Stream& stream, const Taps& taps, const std::vector<Weight>& weights)
      : taps_(taps),
        first_({static_cast<std::int64_t>(taps.first.size())}, stream.device()),
        weights_({static_cast<std::int64_t>(weights.size())}, stream.device()) {
    copy(stream, Span<const std::int32_t, 1>(taps.first.data(), first_.shape()), first_.span());
    copy(stream, Span<const Weight, 1>(weights.data(), weights_.shape()), weights_.span());
  }
  const std::int32_t* first() const { return first_.span().on(first_.device()).data; }
  const Weight* weights() const { return weights_.span().on(weights_.device()).data; }
  DeviceTaps taps() const requires(std::is_same_v<Weight, float>) {
    return {first(), weights(), taps_.outputs, taps_.count, taps_.begin, taps_.end};
  }

 private:
  const Taps& taps_;
  Array<std::int32_t, 1> first_;
  Array<Weight, 1> weights_;
};

/// A volume with x, y, z extents of its own, read with strides.
template <class T>
struct Strided {
  const T* values;
  std::int64_t stride[3];
};

struct Extent3 {
  std::int64_t of[3];
  std::int64_t size() const { return of[0] * of[1] * of[2]; }
};

struct Place3 {
  std::int64_t at[3];
  bool is_inside;
};
KIBAN_DEVICE Place3 place_of_thread(const Extent3& extent) {
  const std::int64_t number = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const std::int64_t row = number / extent.of[0];
  return {{number % extent.of[0], row % extent.of[1], row / extent.of[1]},
          number < extent.of[0] * extent.of[1] * extent.of[2]};
}

/// Sums along one axis, into a contiguous volume; 0 where taps end.   reads and writes a value a voxel
template <class T>
__global__ void __launch_bounds__(kBlock)
    weigh_along(const Strided<T> from, const Extent3 extent, int axis, const DeviceTaps taps, float* to) {
  const Place3 place = place_of_thread(extent);
  if (!place.is_inside) return;
  const std::int64_t output = place.at[axis];
  std::int64_t source = taps.first[output] * from.stride[axis];
  for (int a = 0; a < 3; ++a)
    if (a != axis) source += place.at[a] * from.stride[a];
  float sum = 0;
#pragma unroll 1
  for (std::int64_t k = 0; k < taps.count; ++k)
    sum = fmaf(taps.weights[k * taps.outputs + output], static_cast<float>(from.values[source + k * from.stride[axis]]),
               sum);
  to[(place.at[2] * extent.of[1] + place.at[1]) * extent.of[0] + place.at[0]] = sum;
}

/// Sums along y and z, or along z only; padding where taps of any axis end.   reads 4 bytes, writes a value a voxel
template <class T>
__global__ void __launch_bounds__(kBlock)
    weigh_last(const Strided<float> from, const Extent3 extent, const DeviceTaps x, const DeviceTaps y,
               const DeviceTaps z, bool along_y, T padding, T least, T most, T* to) {
  const Place3 place = place_of_thread(extent);
  if (!place.is_inside) return;
  T value = padding;
  if (x.holds(place.at[0]) && y.holds(place.at[1]) && z.holds(place.at[2])) {
    const float* const first = from.values + place.at[0] + z.first[place.at[2]] * from.stride[2];
    float sum = 0;
#pragma unroll 1
    for (std::int64_t k = 0; k < z.count; ++k) {
      const float* row = first + k * from.stride[2];
      float along = 0;
      if (along_y) {
        row += y.first[place.at[1]] * from.stride[1];
#pragma unroll 1
        for (std::int64_t j = 0; j < y.count; ++j)
          along = fmaf(y.weights[j * y.outputs + place.at[1]], row[j * from.stride[1]], along);
      } else {
        along = row[place.at[1] * from.stride[1]];
      }
      sum = fmaf(z.weights[k * z.outputs + place.at[2]], along, sum);
    }
    value = rounded(sum, least, most);
  }
  to[(place.at[2] * extent.of[1] + place.at[1]) * extent.of[0] + place.at[0]] = value;
}

/// Votes, or a copy where each axis has one tap.   reads as many voxels as there are taps, at least twice; writes one
template <class T>
__global__ void __launch_bounds__(kBlock, 3)
    vote_kernel(Window<T> window, const std::int32_t* first_x, const std::int32_t* first_y, const std::int32_t* first_z,
                const Extent3 extent, const Extent3 begin, const Extent3 end, T padding, T* to) {
  const Place3 place = place_of_thread(extent);
  if (!place.is_inside) return;
  T value = padding;
  bool is_used = true;
  for (int a = 0; a < 3; ++a) {
    is_used = is_used && place.at[a] >= begin.of[a] && place.at[a] < end.of[a];
    window.weight[a] += place.at[a];
  }
  if (is_used) {
    window.first += first_x[place.at[0]] * window.stride[0] + first_y[place.at[1]] * window.stride[1] +
                    first_z[place.at[2]] * window.stride[2];
    value = window.count[0] * window.count[1] * window.count[2] == 1 ? *window.first : vote_over(window);
  }
  to[(place.at[2] * extent.of[1] + place.at[1]) * extent.of[0] + place.at[0]] = value;
}

/// Rotated grids.   reads 8 voxels (labels, linear) or 64 coefficients, writes one
enum class Sampled { nearest, labels, linear, cubic };
template <class From, class T, Sampled kind>
__global__ void __launch_bounds__(kBlock)
    sample_kernel(const From* image, const Placement on, const Extent3 extent, T padding, T least, T most, T* to) {
  const Place3 thread = place_of_thread(extent);
  if (!thread.is_inside) return;
  double place[3];
  T value = padding;
  if (place_of(on, static_cast<double>(thread.at[0]), static_cast<double>(thread.at[1]),
               static_cast<double>(thread.at[2]), place)) {
    if constexpr (kind == Sampled::nearest)
      value = nearest_at(image, on.extent, place);
    else if constexpr (kind == Sampled::labels)
      value = vote_at(image, on.extent, place);
    else if constexpr (kind == Sampled::linear)
      value = rounded(linear_at(image, on.extent, place), least, most);
    else
      value = rounded(spline_at(image, on.extent, place), least, most);
  }
  to[(thread.at[2] * extent.of[1] + thread.at[1]) * extent.of[0] + thread.at[0]] = value;
}

Extent3 extent_of(const VoxelSpan& span) { return {{span.extent(2), span.extent(1), span.extent(0)}}; }

template <class T>
Strided<T> strided(const AlignedImage& image) {
  return {static_cast<const T*>(image.values), {image.stride[0], image.stride[1], image.stride[2]}};
}

/// Voxels as the bits that are copied: signed ones and floats as unsigned.
template <class Body>
void with_bits(VoxelType type, const Body& body) {
  with_label_type(bytes_of(type) == 1   ? VoxelType::uint8
                  : bytes_of(type) == 2 ? VoxelType::uint16
                                        : VoxelType::uint32,
                  body);
}
template <class Bits>
Bits bits_of(VoxelType type, double value) {
  return with_voxel_type(type, [&]<class T>() -> Bits {
    const T number = static_cast<T>(value);
    Bits bits{};
    if constexpr (sizeof(T) == sizeof(Bits)) __builtin_memcpy(&bits, &number, sizeof bits);
    return bits;
  });
}

}  // namespace

void weigh(Stream& stream, const AlignedImage& image, const TapsOfAxes& taps, double padding,
           const VoxelSpan& weighed) {
  const TapsThere<float> x(stream, taps[0], taps[0].weights), y(stream, taps[1], taps[1].weights),
      z(stream, taps[2], taps[2].weights);
  const Extent3 along_x{{taps[0].outputs, image.extent[1], image.extent[2]}},
      along_y{{taps[0].outputs, taps[1].outputs, image.extent[2]}};
  const auto contiguous = [](const Extent3& extent, const Array<float, 1>& array) {
    return Strided<float>{array.span().on(array.device()).data, {1, extent.of[0], extent.of[0] * extent.of[1]}};
  };
  Array<float, 1> first({along_x.size()}, stream.device()), second;
  with_voxel_type(image.type, [&]<class T>() {
    gpu::launch(stream, gpu::blocks_for(along_x.size(), kBlock), kBlock, &weigh_along<T>, strided<T>(image), along_x, 0,
                x.taps(), first.span().on(stream.device()).data);
  });
  const bool at_once = taps[1].count * taps[2].count <= kTapsAtOnce;
  if (!at_once) {
    second = Array<float, 1>({along_y.size()}, stream.device());
    gpu::launch(stream, gpu::blocks_for(along_y.size(), kBlock), kBlock, &weigh_along<float>,
                contiguous(along_x, first), along_y, 1, y.taps(), second.span().on(stream.device()).data);
  }
  const Strided<float> last = at_once ? contiguous(along_x, first) : contiguous(along_y, second);
  with_voxel_type(weighed.type(), [&]<class T>() {
    gpu::launch(stream, gpu::blocks_for(weighed.size(), kBlock), kBlock, &weigh_last<T>, last, extent_of(weighed),
                x.taps(), y.taps(), z.taps(), at_once, static_cast<T>(padding), std::numeric_limits<T>::lowest(),
                std::numeric_limits<T>::max(), static_cast<T*>(weighed.data()));
  });
  stream.synchronize();  // the taps and the volumes between go away
}

void vote(Stream& stream, const AlignedImage& image, const TapsOfAxes& taps, double padding, const VoxelSpan& voted) {
  const VoteWeights weights = vote_weights(taps);
  const TapsThere<std::uint32_t> x(stream, taps[0], weights[0]), y(stream, taps[1], weights[1]),
      z(stream, taps[2], weights[2]);
  with_bits(voted.type(), [&]<class T>() {
    Window<T> window{};
    window.first = static_cast<const T*>(image.values);
    Extent3 begin{}, end{};
    for (std::size_t a = 0; a < 3; ++a) {
      window.stride[a] = image.stride[a];
      window.count[a] = taps[a].count;
      window.weight_stride[a] = taps[a].outputs;
      begin.of[a] = taps[a].begin;
      end.of[a] = taps[a].end;
    }
    window.weight[0] = x.weights();
    window.weight[1] = y.weights();
    window.weight[2] = z.weights();
    gpu::launch(stream, gpu::blocks_for(voted.size(), kBlock), kBlock, &vote_kernel<T>, window, x.first(), y.first(),
                z.first(), extent_of(voted), begin, end, bits_of<T>(voted.type(), padding),
                static_cast<T*>(voted.data()));
  });
  stream.synchronize();  // the taps go away
}

void find_coefficients(Stream& stream, const ConstVoxelSpan& image, Span<float, 3> coefficients) {
  AlignedSampling same{{0, 1, 2}, {}, {}};
  weigh(stream, seen_along(image, same),
        {coefficient_taps(image.extent(2)), coefficient_taps(image.extent(1)), coefficient_taps(image.extent(0))}, 0,
        coefficients);
}

void sample(Stream& stream, const ConstVoxelSpan& image, const Sampling& on_image, const ResampleRule& rule,
            const VoxelSpan& sampled) {
  const Placement on = placement_of<Placement>(image, on_image, rule);
  const auto run = [&]<class From, class T>(auto kernel, T padding, T least, T most) {
    gpu::launch(stream, gpu::blocks_for(sampled.size(), kBlock), kBlock, kernel, static_cast<const From*>(image.data()),
                on, extent_of(sampled), padding, least, most, static_cast<T*>(sampled.data()));
    stream.synchronize();
  };
  const double padding = rule.padding.value_or(0);
  if (rule.interpolation == Interpolation::nearest || rule.interpolation == Interpolation::labels)
    return with_bits(sampled.type(), [&]<class T>() {
      const T outside = bits_of<T>(sampled.type(), padding);
      if (rule.interpolation == Interpolation::nearest)
        run.template operator()<T, T>(&sample_kernel<T, T, Sampled::nearest>, outside, T{}, T{});
      else
        run.template operator()<T, T>(&sample_kernel<T, T, Sampled::labels>, outside, T{}, T{});
    });
  Array<float, 3> floats;
  const float* from = nullptr;
  if (image.type() == VoxelType::float32) {
    from = static_cast<const float*>(image.data());
  } else {  // one kernel for all: as float, along axes of one tap
    AlignedSampling same{{0, 1, 2}, {}, {}};
    floats = Array<float, 3>(image.shape(), stream.device());
    TapsOfAxes taps;
    for (std::size_t a = 0; a < 3; ++a) {
      const std::int64_t extent = image.extent(2 - static_cast<int>(a));
      taps[a] = taps_of({extent, extent, 1, 0, false}, TapKernel::nearest, 0);
    }
    weigh(stream, seen_along(image, same), taps, 0, floats.span());
    from = std::as_const(floats).span().on(stream.device()).data;
  }
  with_voxel_type(sampled.type(), [&]<class T>() {
    constexpr T kLeast = std::numeric_limits<T>::lowest(), kMost = std::numeric_limits<T>::max();
    const auto kernel = rule.interpolation == Interpolation::cubic ? &sample_kernel<float, T, Sampled::cubic>
                                                                   : &sample_kernel<float, T, Sampled::linear>;
    gpu::launch(stream, gpu::blocks_for(sampled.size(), kBlock), kBlock, kernel, from, on, extent_of(sampled),
                static_cast<T>(padding), kLeast, kMost, static_cast<T*>(sampled.data()));
  });
  stream.synchronize();
}

}  // namespace kiban::image::KIBAN_CUDA_NAMESPACE
