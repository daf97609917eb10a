#include <algorithm>

#include "kernels/core/cuda/launch.cuh"
#include "kernels/ct/joseph_backends.hpp"

namespace kiban::ct {
namespace KIBAN_CUDA_NAMESPACE {
namespace {

template <class T>
KIBAN_HD inline T splat(T value) {
  return value;
}
template <class T>
KIBAN_HD inline T add(T a, T b) {
  return a + b;
}
template <class T>
KIBAN_HD inline T subtract(T a, T b) {
  return a - b;
}
template <class T>
KIBAN_HD inline T multiply(T a, T b) {
  return a * b;
}
template <class T>
KIBAN_HD inline T divide(T a, T b) {
  return a / b;
}
KIBAN_HD inline float multiply_add(float a, float b, float c) { return fmaf(a, b, c); }
KIBAN_HD inline double multiply_add(double a, double b, double c) { return fma(a, b, c); }
KIBAN_HD inline double square_root(double a) { return sqrt(a); }
KIBAN_HD inline float magnitude(float a) { return fabsf(a); }
KIBAN_HD inline double magnitude(double a) { return fabs(a); }
KIBAN_HD inline float lesser(float a, float b) { return fminf(a, b); }
KIBAN_HD inline double lesser(double a, double b) { return fmin(a, b); }
KIBAN_HD inline float larger(float a, float b) { return fmaxf(a, b); }
KIBAN_HD inline double larger(double a, double b) { return fmax(a, b); }
KIBAN_HD inline float round_up(float a) { return ceilf(a); }
KIBAN_HD inline float round_down(float a) { return floorf(a); }
template <class T>
KIBAN_HD inline T where_greater(T a, T b, T x, T y) {
  return a > b ? x : y;
}

#include "kernels/ct/joseph_math-inl.hpp"

constexpr unsigned kLanes = 32, kLines = 8;

/// By value in the launch's constant memory.
struct Views {
  JosephView view[kJosephViews];
};

/// Plain sizes of the table [view, field, row, pitch].
struct Table {
  float* data;
  std::int64_t rows, pitch;
  KIBAN_DEVICE float* field(std::int64_t view, int f, std::int64_t row, std::int64_t column) const {
    return data + ((view * JosephField::count + f) * rows + row) * pitch + column;
  }
};

/// What depends on the ray's own axis. Axis 0 is x; the others keep their order.
KIBAN_DEVICE float by_axis(int axis, float for_x, float for_y, float for_z) {
  return axis == 0 ? for_x : axis == 1 ? for_y : for_z;
}
KIBAN_DEVICE std::int64_t by_axis(int axis, std::int64_t for_x, std::int64_t for_y, std::int64_t for_z) {
  return axis == 0 ? for_x : axis == 1 ? for_y : for_z;
}

/// One thread an entry of a row, the padding included. 150 operations of fp64 a ray, once for hundreds of slices.
__global__ void __launch_bounds__(kLanes* kLines)
    trace_rays(const __grid_constant__ Views views, const __grid_constant__ JosephGrid grid, std::int64_t columns,
               const Table table) {
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.x) * kLanes + threadIdx.x;
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.y) * kLines + threadIdx.y;
  if (column >= table.pitch || row >= table.rows) return;
  const std::int64_t view = blockIdx.z;
  TracedRay<double> ray{0, 0, 0, 0, 0, 0, 0, 3};
  if (column < columns) ray = trace(views.view[view], grid, static_cast<double>(column), static_cast<double>(row));
  *table.field(view, JosephField::b, row, column) = static_cast<float>(ray.b);
  *table.field(view, JosephField::c, row, column) = static_cast<float>(ray.c);
  *table.field(view, JosephField::slope_b, row, column) = static_cast<float>(ray.slope_b);
  *table.field(view, JosephField::slope_c, row, column) = static_cast<float>(ray.slope_c);
  *table.field(view, JosephField::enter, row, column) = static_cast<float>(ray.enter);
  *table.field(view, JosephField::leave, row, column) = static_cast<float>(ray.leave);
  *table.field(view, JosephField::step, row, column) = static_cast<float>(ray.step);
  *table.field(view, JosephField::axis, row, column) = static_cast<float>(ray.axis);
}

/// One thread a pixel. A warp's 32 rays are neighbours and read neighbouring voxels: about 4 sectors of L1 for each of
/// the four loads of a slice, and 16 operations.
__global__ void __launch_bounds__(kLanes* kLines)
    march_rays(const __grid_constant__ JosephGrid grid, const Table table, const float* volume, std::int64_t columns,
               float* projections) {
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.x) * kLanes + threadIdx.x;
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.y) * kLines + threadIdx.y;
  if (column >= columns || row >= table.rows) return;
  const std::int64_t view = blockIdx.z;
  float& out = projections[(view * table.rows + row) * columns + column];
  const float step = *table.field(view, JosephField::step, row, column);
  if (step == 0) {
    out = 0;
    return;
  }
  const auto axis = static_cast<int>(*table.field(view, JosephField::axis, row, column));
  const std::int64_t extent_a = by_axis(axis, grid.extent[0], grid.extent[1], grid.extent[2]);
  const std::int64_t extent_b = by_axis(axis, grid.extent[1], grid.extent[0], grid.extent[0]);
  const std::int64_t extent_c = by_axis(axis, grid.extent[2], grid.extent[2], grid.extent[1]);
  const std::int64_t stride_a = by_axis(axis, grid.stride[0], grid.stride[1], grid.stride[2]);
  const std::int64_t stride_b = by_axis(axis, grid.stride[1], grid.stride[0], grid.stride[0]);
  const std::int64_t stride_c = by_axis(axis, grid.stride[2], grid.stride[2], grid.stride[1]);
  const float enter = *table.field(view, JosephField::enter, row, column);
  const float leave = *table.field(view, JosephField::leave, row, column);
  const float at_b = *table.field(view, JosephField::b, row, column);
  const float at_c = *table.field(view, JosephField::c, row, column);
  const float slope_b = *table.field(view, JosephField::slope_b, row, column);
  const float slope_c = *table.field(view, JosephField::slope_c, row, column);
  const float last_b = static_cast<float>(extent_b - 1), last_c = static_cast<float>(extent_c - 1);
  const int last_low_b = max(static_cast<int>(extent_b) - 2, 0), last_low_c = max(static_cast<int>(extent_c) - 2, 0);
  const std::int64_t next_b = extent_b > 1 ? stride_b : 0, next_c = extent_c > 1 ? stride_c : 0;
  const float middle = 0.5f * static_cast<float>(extent_a - 1);
  const int first = max(0, static_cast<int>(ceilf(enter - 0.5f)));
  const int last = min(static_cast<int>(extent_a) - 1, static_cast<int>(floorf(leave + 0.5f)));
  float sum = 0;
  for (int slice = first; slice <= last; ++slice) {
    const float s = static_cast<float>(slice);
    const float b = position_in_slice(at_b, slope_b, s - middle, last_b);
    const float c = position_in_slice(at_c, slope_c, s - middle, last_c);
    const int low_b = min(static_cast<int>(b), last_low_b), low_c = min(static_cast<int>(c), last_low_c);
    const float share_b = b - static_cast<float>(low_b), share_c = c - static_cast<float>(low_c);
    const float* voxel = volume + slice * stride_a + low_b * stride_b + low_c * stride_c;
    const float v00 = __ldg(voxel), v01 = __ldg(voxel + next_b);
    const float v10 = __ldg(voxel + next_c), v11 = __ldg(voxel + next_c + next_b);
    const float v0 = fmaf(share_b, v01 - v00, v00), v1 = fmaf(share_b, v11 - v10, v10);
    sum = fmaf(share_of_slice(s, enter, leave), fmaf(share_c, v1 - v0, v0), sum);
  }
  out = sum * step;
}

/// What one ray adds to a voxel for each unit of its pixel: the weight with which `march_rays` reads that voxel.
KIBAN_DEVICE float ray_weight(const JosephGrid& grid, const Table& table, std::int64_t view, int row, int column,
                              const float (&voxel)[3]) {
  const auto axis = static_cast<int>(__ldg(table.field(view, JosephField::axis, row, column)));
  const float slice = by_axis(axis, voxel[0], voxel[1], voxel[2]);
  const float extent_a = static_cast<float>(by_axis(axis, grid.extent[0], grid.extent[1], grid.extent[2]));
  const float last_b = static_cast<float>(by_axis(axis, grid.extent[1], grid.extent[0], grid.extent[0]) - 1);
  const float last_c = static_cast<float>(by_axis(axis, grid.extent[2], grid.extent[2], grid.extent[1]) - 1);
  const float from_middle = slice - 0.5f * (extent_a - 1);
  const float b = position_in_slice(__ldg(table.field(view, JosephField::b, row, column)),
                                    __ldg(table.field(view, JosephField::slope_b, row, column)), from_middle, last_b);
  const float c = position_in_slice(__ldg(table.field(view, JosephField::c, row, column)),
                                    __ldg(table.field(view, JosephField::slope_c, row, column)), from_middle, last_c);
  const float share = share_of_slice(slice, __ldg(table.field(view, JosephField::enter, row, column)),
                                     __ldg(table.field(view, JosephField::leave, row, column)));
  return __ldg(table.field(view, JosephField::step, row, column)) * share *
         hat(b - by_axis(axis, voxel[1], voxel[0], voxel[0])) * hat(c - by_axis(axis, voxel[2], voxel[2], voxel[1]));
}

/// One thread a voxel. Neighbouring voxels look at neighbouring pixels: the table's lines come from L1, 36 bytes and 40
/// operations a pixel.
__global__ void __launch_bounds__(kLanes* kLines)
    gather_rays(const __grid_constant__ Views views, int count, const __grid_constant__ JosephGrid grid,
                const Table table, const float* projections, std::int64_t columns, int first_z, float* volume) {
  const int x = static_cast<int>(blockIdx.x * kLanes + threadIdx.x);
  const int y = static_cast<int>(blockIdx.y * kLines + threadIdx.y);
  const int z = first_z + static_cast<int>(blockIdx.z);
  if (x >= grid.extent[0] || y >= grid.extent[1]) return;
  const float voxel[3] = {static_cast<float>(x), static_cast<float>(y), static_cast<float>(z)};
  const float rows_f = static_cast<float>(table.rows), columns_f = static_cast<float>(columns);
  float sum = 0;
  for (int view = 0; view < count; ++view) {
    PixelBox<float> box = pixels_around(views.view[view], voxel, 0, rows_f, columns_f);
    for (int axis = 1; axis < 3; ++axis) {
      const PixelBox<float> other = pixels_around(views.view[view], voxel, axis, rows_f, columns_f);
      box.u0 = fminf(box.u0, other.u0);
      box.v0 = fminf(box.v0, other.v0);
      box.u1 = fmaxf(box.u1, other.u1);
      box.v1 = fmaxf(box.v1, other.v1);
    }
    for (int row = static_cast<int>(box.v0); row <= static_cast<int>(box.v1); ++row)
      for (int column = static_cast<int>(box.u0); column <= static_cast<int>(box.u1); ++column)
        sum = fmaf(ray_weight(grid, table, view, row, column, voxel),
                   __ldg(projections + (view * table.rows + row) * columns + column), sum);
  }
  volume[z * grid.stride[2] + y * grid.stride[1] + x] += sum;
}

Views by_value(std::span<const JosephView> views) {
  Views result{};
  std::copy(views.begin(), views.end(), result.view);
  return result;
}

Table plain(const ArrayView<float, 4>& rays) { return {rays.data, rays.shape[2], rays.shape[3]}; }

dim3 blocks(std::int64_t layers, std::int64_t rows, std::int64_t columns) {
  return dim3(gpu::blocks_for(columns, kLanes), gpu::blocks_for(rows, kLines), static_cast<unsigned>(layers));
}

}  // namespace

void joseph_trace(Stream& stream, std::span<const JosephView> views, const JosephGrid& grid, std::int64_t columns,
                  Span<float, 4> rays) {
  const auto table = rays.on(stream.device());
  gpu::launch(stream, blocks(table.shape[0], table.shape[2], table.shape[3]), dim3(kLanes, kLines), &trace_rays,
              by_value(views), grid, columns, plain(table));
}

void joseph_march(Stream& stream, const JosephGrid& grid, Span<const float, 4> rays, Span<const float, 3> volume,
                  Span<float, 3> projections) {
  const auto table = rays.on(stream.device());
  const auto out = projections.on(stream.device());
  const Table read{const_cast<float*>(table.data), table.shape[2], table.shape[3]};
  gpu::launch(stream, blocks(out.shape[0], out.shape[1], out.shape[2]), dim3(kLanes, kLines), &march_rays, grid, read,
              volume.on(stream.device()).data, out.shape[2], out.data);
}

void joseph_gather(Stream& stream, std::span<const JosephView> views, const JosephGrid& grid, Span<float, 4> rays,
                   Span<const float, 3> projections, Span<float, 3> volume) {
  constexpr std::int64_t kLayersPerLaunch = 65535;  // a grid is no deeper
  const auto values = projections.on(stream.device());
  const auto out = volume.on(stream.device());
  for (std::int64_t first = 0; first < out.shape[0]; first += kLayersPerLaunch)
    gpu::launch(stream, blocks(std::min(kLayersPerLaunch, out.shape[0] - first), out.shape[1], out.shape[2]),
                dim3(kLanes, kLines), &gather_rays, by_value(views), static_cast<int>(views.size()), grid,
                plain(rays.on(stream.device())), values.data, values.shape[2], static_cast<int>(first), out.data);
}

}  // namespace KIBAN_CUDA_NAMESPACE
}  // namespace kiban::ct
