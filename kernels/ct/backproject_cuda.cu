#include <algorithm>
#include <climits>

#include "kernels/core/cuda/launch.cuh"
#include "kernels/core/cuda/texture.cuh"
#include "kernels/ct/backproject.hpp"

// What an update costs, exact, on the column path where the panel's rows go by one a voxel: one new panel row, that is
// 2 loads of 4 bytes (from L1; a block's footprint on a panel is about 64 x 16 pixels, 4 KiB) and 15 operations of
// fp32. On the texture path one fetch and 3 operations; on the general path 4 loads and 27 operations. The volume moves
// once a launch: 8 bytes a voxel for 32 views, 0.25 bytes an update. An H100 (67 TFLOP/s, an fma counting two; 3.35
// TB/s) is thus bound by issue and L1, not by its memory.
namespace kiban::ct {
namespace KIBAN_CUDA_NAMESPACE {
namespace {

/// A warp runs along a row of the volume (or along y where columns run along x), a block is a brick of 32 x 8 columns.
constexpr unsigned kLanes = 32, kPlanes = 8;
/// Voxels of a thread, in registers. The general path shares too little along a column to pay for more.
constexpr int kColumnWalk = 8, kGeneralWalk = 4;

struct Axis {
  int extent;
  std::int64_t stride;  ///< elements
};
struct Walk {
  Axis lane, plane, column;
};

/// Of up to 32 views, by value in the launch's constant memory. Indices are counted from the volume's centre and pixels
/// from a middle pixel of the panel: floats then carry twice the digits that they would from the corners.
struct Matrices {
  int views;
  float m[PanelBlock::kViews][3][4];  ///< (lane, plane, column, 1) -> (u w, v w, w)
};

/// Within 1 ulp, in one instruction.
__device__ __forceinline__ float reciprocal(float w) {
#ifdef __CUDA_ARCH__
  float r;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(w));
  return r;
#else
  return 1.0f / w;
#endif
}

/// 1 / w; 0 next to the source and behind it, where weight, u and v are thus 0 and harmless.
__device__ __forceinline__ float inverse_depth(float w) {
  const float r = reciprocal(w);
  return w > static_cast<float>(kLeastPerspective) ? r : 0.0f;
}

__device__ __forceinline__ float between(float a, float b, float t) { return fmaf(t, b - a, a); }

/// x = index + fraction, 0 <= fraction <= 1, for |x| < 2^22. Adding 1.5 * 2^23 rounds to a whole number and leaves it
/// in the low bits: additions, where floor and a conversion run at a quarter of the rate.
struct Cell {
  int index;
  float fraction;
};
__device__ __forceinline__ Cell cell_of(float x) {
  constexpr float kShift = 12582912.0f;
  const float shifted = (x - 0.5f) + kShift;
  return {__builtin_bit_cast(int, shifted) - 0x4b400000, x - (shifted - kShift)};
}

/// Bilinear in float. Coordinates are held inside the margin of zeros, which is why nothing is tested.
class ExactPanels {
 public:
  ExactPanels(const PanelBlock& block, const float* pixels, std::int64_t middle_u, std::int64_t middle_v)
      : middle_(pixels + block.first_pixel(0) + middle_v * block.pitch() + middle_u),
        view_stride_(block.pixels.shape()[1] * block.pitch()),
        pitch_(static_cast<int>(block.pitch())),
        low_u_(static_cast<float>(-1 - middle_u)),
        high_u_(static_cast<float>(block.columns - middle_u)),
        low_v_(static_cast<float>(-1 - middle_v)),
        high_v_(static_cast<float>(block.rows - middle_v)) {}

  /// The panel along v at one u: of two rows that the last voxel read, the next one often needs one or both.
  class Line {
   public:
    __device__ Line(const ExactPanels& panels, int view, float u) : panels_(panels) {
      const Cell cell = cell_of(fminf(fmaxf(u, panels.low_u_), panels.high_u_));
      pixels_ = panels.middle_ + view * panels.view_stride_ + cell.index;
      fraction_ = cell.fraction;
    }
    __device__ __forceinline__ float operator()(float v) {
      const Cell cell = cell_of(fminf(fmaxf(v, panels_.low_v_), panels_.high_v_));
      if (cell.index != row_) {
        lower_ = cell.index == row_ + 1 ? upper_ : across(cell.index);
        upper_ = across(cell.index + 1);
        row_ = cell.index;
      }
      return between(lower_, upper_, cell.fraction);
    }

   private:
    __device__ __forceinline__ float across(int row) const {
      const float* pixel = pixels_ + row * panels_.pitch_;  // a panel has less than 2^31 elements: 32 bits do
      return between(__ldg(pixel), __ldg(pixel + 1), fraction_);
    }
    const ExactPanels& panels_;
    const float* pixels_;
    float fraction_;
    int row_ = INT_MIN;
    float lower_ = 0, upper_ = 0;
  };

 private:
  const float* middle_;
  std::int64_t view_stride_;
  int pitch_;
  float low_u_, high_u_, low_v_, high_v_;
};

/// Bilinear in the texture units, zero outside.
class TexturePanels {
 public:
  TexturePanels(cudaTextureObject_t texture, std::int64_t middle_u, std::int64_t middle_v)
      : texture_(texture),
        shift_u_(static_cast<float>(middle_u) + 0.5f),
        shift_v_(static_cast<float>(middle_v) + 0.5f) {}

  class Line {
   public:
    __device__ Line(const TexturePanels& panels, int view, float u)
        : texture_(panels.texture_), view_(view), u_(u + panels.shift_u_), shift_v_(panels.shift_v_) {}
    __device__ __forceinline__ float operator()(float v) const {
      return tex2DLayered<float>(texture_, u_, v + shift_v_, view_);
    }

   private:
    cudaTextureObject_t texture_;
    int view_;
    float u_, shift_v_;
  };

 private:
  cudaTextureObject_t texture_;
  float shift_u_, shift_v_;
};

__device__ __forceinline__ float row_times(const float (&m)[4], float x, float y, float z) {
  return fmaf(m[0], x, fmaf(m[1], y, fmaf(m[2], z, m[3])));
}

/// `sum[j]` += what the views say of the voxels j of a column whose first voxel is at (x, y, z) and whose u and w stay.
template <class Panels, int voxels>
__device__ __forceinline__ void add_column(const float (&m)[3][4], int view, const Panels& panels, float x, float y,
                                           float z, float (&sum)[voxels]) {
  const float r = inverse_depth(row_times(m[2], x, y, z));
  const float weight = r * r;
  const float v = row_times(m[1], x, y, z) * r;
  const float step = m[1][2] * r;
  typename Panels::Line line(panels, view, row_times(m[0], x, y, z) * r);
#pragma unroll
  for (int j = 0; j < voxels; ++j) sum[j] = fmaf(weight, line(fmaf(static_cast<float>(j), step, v)), sum[j]);
}

/// The same with u and w of each voxel.
template <class Panels, int voxels>
__device__ __forceinline__ void add_voxels(const float (&m)[3][4], int view, const Panels& panels, float x, float y,
                                           float z, float (&sum)[voxels]) {
  const float u = row_times(m[0], x, y, z), v = row_times(m[1], x, y, z), w = row_times(m[2], x, y, z);
#pragma unroll
  for (int j = 0; j < voxels; ++j) {
    const float at = static_cast<float>(j);
    const float r = inverse_depth(fmaf(at, m[2][2], w));
    const float weight = r * r;
    typename Panels::Line line(panels, view, fmaf(at, m[0][2], u) * r);
    sum[j] = fmaf(weight, line(fmaf(at, m[1][2], v) * r), sum[j]);
  }
}

/// Sums the views in order, in registers, and adds the sums to a column of voxels.
///   grid (lanes, planes, walks along the columns of each scan from `first_scan` on)
template <bool along_column, class Panels>
__global__ void __launch_bounds__(kLanes* kPlanes, 5)
    backproject_kernel(const Walk walk, const __grid_constant__ Matrices matrices, const Panels panels,
                       const __grid_constant__ VolumePointers volumes, unsigned first_scan) {
  constexpr int voxels = along_column ? kColumnWalk : kGeneralWalk;
  const unsigned walks = (static_cast<unsigned>(walk.column.extent) + voxels - 1) / voxels;
  const unsigned scan = first_scan + blockIdx.z / walks;
  float* const volume = volumes.of_scan[scan];
  if (volume == nullptr) return;
  const int first_slot = static_cast<int>(scan) * static_cast<int>(PanelBlock::kViews);
  const int lane = static_cast<int>(blockIdx.x * kLanes + threadIdx.x);
  const int plane = static_cast<int>(blockIdx.y * kPlanes + threadIdx.y);
  const int first = static_cast<int>(blockIdx.z % walks) * voxels;
  if (lane >= walk.lane.extent || plane >= walk.plane.extent) return;
  float sum[voxels] = {};
  const float x = static_cast<float>(lane) - 0.5f * static_cast<float>(walk.lane.extent - 1);
  const float y = static_cast<float>(plane) - 0.5f * static_cast<float>(walk.plane.extent - 1);
  const float z = static_cast<float>(first) - 0.5f * static_cast<float>(walk.column.extent - 1);
#pragma unroll 1
  for (int view = 0; view < matrices.views; ++view) {
    if constexpr (along_column)
      add_column(matrices.m[view], first_slot + view, panels, x, y, z, sum);
    else
      add_voxels(matrices.m[view], first_slot + view, panels, x, y, z, sum);
  }
  float* voxel = volume + lane * walk.lane.stride + plane * walk.plane.stride + first * walk.column.stride;
#pragma unroll
  for (int j = 0; j < voxels; ++j)
    if (first + j < walk.column.extent) voxel[j * walk.column.stride] += sum[j];
}

/// The volume's axes (0 = x) in the order lane, plane, column.
struct Order {
  int lane, plane, column;
};

Order order_of(int column_axis) {
  if (column_axis == 0) return {1, 2, 0};
  if (column_axis == 1) return {0, 2, 1};
  return {0, 1, 2};
}

Matrices centred(std::span<const ProjectionMatrix> matrices, const Order& order, const Shape<3>& shape,
                 std::int64_t middle_u, std::int64_t middle_v) {
  const int axes[3] = {order.lane, order.plane, order.column};
  Matrices result{static_cast<int>(matrices.size()), {}};
  for (std::size_t view = 0; view < matrices.size(); ++view) {
    double m[3][4];
    for (int row = 0; row < 3; ++row) {
      const auto& from = matrices[view].m[row];
      m[row][3] = from[3];
      for (int i = 0; i < 3; ++i) {
        m[row][i] = from[axes[i]];
        m[row][3] += from[axes[i]] * 0.5 * static_cast<double>(shape[static_cast<std::size_t>(2 - axes[i])] - 1);
      }
    }
    for (int i = 0; i < 4; ++i) {
      result.m[view][0][i] = static_cast<float>(m[0][i] - static_cast<double>(middle_u) * m[2][i]);
      result.m[view][1][i] = static_cast<float>(m[1][i] - static_cast<double>(middle_v) * m[2][i]);
      result.m[view][2][i] = static_cast<float>(m[2][i]);
    }
  }
  return result;
}

template <bool along_column, class Panels>
void launch_walk(const Stream& stream, const Walk& walk, const Matrices& matrices, const Panels& panels,
                 const VolumePointers& volumes, unsigned scans) {
  constexpr int voxels = along_column ? kColumnWalk : kGeneralWalk;
  constexpr unsigned kMostBlocks = 65535;  // along z
  const unsigned walks = gpu::blocks_for(walk.column.extent, voxels);
  const unsigned at_once = std::max(1U, kMostBlocks / walks);
  for (unsigned first = 0; first < scans; first += at_once) {
    const dim3 grid(gpu::blocks_for(walk.lane.extent, kLanes), gpu::blocks_for(walk.plane.extent, kPlanes),
                    walks * std::min(at_once, scans - first));
    gpu::launch(stream, grid, dim3(kLanes, kPlanes), &backproject_kernel<along_column, Panels>, walk, matrices, panels,
                volumes, first);
  }
}

/// The block's pixels as a texture. It lives as long as the block and is loaded anew for each launch.
const gpu::LayeredTexture& load_texture(const Stream& stream, const PanelBlock& block, const float* pixels,
                                        std::int64_t views) {
  if (!block.texture)
    block.texture = std::make_shared<gpu::LayeredTexture>(stream, block.slots(), block.rows, block.columns);
  auto& texture = *static_cast<gpu::LayeredTexture*>(block.texture.get());
  texture.load(pixels + block.first_pixel(0), views, block.pixels.shape()[1], block.pitch());
  return texture;
}

}  // namespace

void backproject_block(Stream& stream, const PanelBlock& block, std::span<const ProjectionMatrix> matrices,
                       Interpolation interpolation, ScanVolumes volumes) {
  const Shape<3> shape = shape_of(volumes);
  const VolumePointers pointers = pointers_of(volumes, stream.device());
  const float* pixels = block.pixels.span().on(stream.device()).data;
  constexpr std::int64_t kMostCells = 1 << 22;  // see cell_of
  if (block.pixels.shape()[1] * block.pitch() > INT_MAX || std::max(block.rows, block.columns) > kMostCells)
    throw Error(
        ErrorCode::input,
        "the panel is too large for a GPU, which takes 2^22 rows and columns and 2^31 pixels; take --device cpu");
  if (std::max({shape[0], shape[1], shape[2]}) > INT_MAX)
    throw Error(ErrorCode::input, "a side of the volume has more than 2^31 voxels; take a smaller volume");
  const int axis = column_axis(matrices, shape);
  const Order order = order_of(axis);
  const std::int64_t strides[3] = {1, shape[2], shape[1] * shape[2]};
  const auto axis_of = [&](int i) {
    return Axis{static_cast<int>(shape[static_cast<std::size_t>(2 - i)]), strides[i]};
  };
  const Walk walk{axis_of(order.lane), axis_of(order.plane), axis_of(order.column)};
  const std::int64_t middle_u = block.columns / 2, middle_v = block.rows / 2;
  const Matrices by_value = centred(matrices, order, shape, middle_u, middle_v);
  const auto scans = static_cast<unsigned>(volumes.size());
  if (interpolation == Interpolation::texture) {
    const std::int64_t slots = static_cast<std::int64_t>(volumes.size() - 1) * PanelBlock::kViews + by_value.views;
    const TexturePanels panels(load_texture(stream, block, pixels, slots).object(), middle_u, middle_v);
    axis >= 0 ? launch_walk<true>(stream, walk, by_value, panels, pointers, scans)
              : launch_walk<false>(stream, walk, by_value, panels, pointers, scans);
  } else {
    const ExactPanels panels(block, pixels, middle_u, middle_v);
    axis >= 0 ? launch_walk<true>(stream, walk, by_value, panels, pointers, scans)
              : launch_walk<false>(stream, walk, by_value, panels, pointers, scans);
  }
}

}  // namespace KIBAN_CUDA_NAMESPACE
}  // namespace kiban::ct
