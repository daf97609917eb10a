#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/ct/joseph_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/core/parallel.hpp"
#include "kernels/ct/joseph_backends.hpp"

HWY_BEFORE_NAMESPACE();
namespace kiban::ct::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;
#define KIBAN_HD HWY_ATTR

using Floats = hn::ScalableTag<float>;
using Doubles = hn::ScalableTag<double>;
using Vector = hn::Vec<Floats>;
using Index = hn::Vec<hn::RebindToSigned<Floats>>;

#include "kernels/ct/joseph_lanes-inl.hpp"
#include "kernels/ct/joseph_math-inl.hpp"

/// Traces the rays of one row of pixels into the table. `fields` is the first row of field 0, `field_stride` apart.
HWY_ATTR void trace_row(const JosephView& view, const JosephGrid& grid, std::int64_t row, std::int64_t columns,
                        float* HWY_RESTRICT fields, std::int64_t field_stride) {
  const Doubles doubles;
  const hn::Rebind<float, Doubles> halves;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(doubles));
  using T = hn::Vec<Doubles>;
  const T v = splat<T>(static_cast<double>(row));
  // The padding is longer than a vector: what the last one writes beyond the row is overwritten below.
  for (std::int64_t column = 0; column < columns; column += lanes) {
    const TracedRay<T> ray = trace(view, grid, hn::Iota(doubles, static_cast<double>(column)), v);
    const T values[JosephField::count] = {ray.b,     ray.c,     ray.slope_b, ray.slope_c,
                                          ray.enter, ray.leave, ray.step,    ray.axis};
    for (int f = 0; f < JosephField::count; ++f)
      hn::StoreU(hn::DemoteTo(halves, values[f]), halves, fields + f * field_stride + column);
  }
  for (int f = 0; f < JosephField::count; ++f)
    std::fill_n(fields + f * field_stride + columns, kJosephRowPadding, f == JosephField::axis ? 3.0f : 0.0f);
}

/// V between the four voxels around (b, c) of a slice. Neighbours beyond the last voxel are the last voxel.
class SliceReader {
 public:
  HWY_ATTR SliceReader(const JosephGrid& grid, int b, int c)
      : wide_(grid.stride[2] * grid.extent[2] > std::numeric_limits<std::int32_t>::max()),
        stride_b_(grid.stride[b]),
        stride_c_(grid.stride[c]),
        next_b_(grid.extent[b] > 1 ? stride_b_ : 0),
        next_c_(grid.extent[c] > 1 ? stride_c_ : 0),
        last_low_b_(static_cast<std::int32_t>(std::max<std::int64_t>(grid.extent[b] - 2, 0))),
        last_low_c_(static_cast<std::int32_t>(std::max<std::int64_t>(grid.extent[c] - 2, 0))) {}

  HWY_ATTR Vector operator()(const float* slice, Vector b, Vector c) const {
    const Floats floats;
    const hn::RebindToSigned<Floats> integers;
    const Index low_b = hn::Min(hn::ConvertTo(integers, b), hn::Set(integers, last_low_b_));
    const Index low_c = hn::Min(hn::ConvertTo(integers, c), hn::Set(integers, last_low_c_));
    const Vector share_b = hn::Sub(b, hn::ConvertTo(floats, low_b));
    const Vector share_c = hn::Sub(c, hn::ConvertTo(floats, low_c));
    Vector v00, v01, v10, v11;
    if (HWY_UNLIKELY(wide_)) {
      read_wide(slice, low_b, low_c, v00, v01, v10, v11);
    } else {
      const Index at = hn::Add(hn::Mul(low_b, hn::Set(integers, static_cast<std::int32_t>(stride_b_))),
                               hn::Mul(low_c, hn::Set(integers, static_cast<std::int32_t>(stride_c_))));
      v00 = hn::GatherIndex(floats, slice, at);
      v01 = hn::GatherIndex(floats, slice + next_b_, at);
      v10 = hn::GatherIndex(floats, slice + next_c_, at);
      v11 = hn::GatherIndex(floats, slice + next_c_ + next_b_, at);
    }
    const Vector v0 = hn::MulAdd(share_b, hn::Sub(v01, v00), v00);
    const Vector v1 = hn::MulAdd(share_b, hn::Sub(v11, v10), v10);
    return hn::MulAdd(share_c, hn::Sub(v1, v0), v0);
  }

 private:
  /// Where 32 bits do not count the voxels.
  HWY_ATTR void read_wide(const float* slice, Index low_b, Index low_c, Vector& v00, Vector& v01, Vector& v10,
                          Vector& v11) const {
    constexpr std::size_t kMost = HWY_MAX_BYTES / sizeof(float);
    const Floats floats;
    const hn::RebindToSigned<Floats> integers;
    HWY_ALIGN std::int32_t b[kMost], c[kMost];
    HWY_ALIGN float values[4][kMost];
    hn::Store(low_b, integers, b);
    hn::Store(low_c, integers, c);
    for (std::size_t lane = 0; lane < hn::Lanes(floats); ++lane) {
      const float* p = slice + b[lane] * stride_b_ + c[lane] * stride_c_;
      values[0][lane] = p[0];
      values[1][lane] = p[next_b_];
      values[2][lane] = p[next_c_];
      values[3][lane] = p[next_c_ + next_b_];
    }
    v00 = hn::Load(floats, values[0]);
    v01 = hn::Load(floats, values[1]);
    v10 = hn::Load(floats, values[2]);
    v11 = hn::Load(floats, values[3]);
  }

  bool wide_;
  std::int64_t stride_b_, stride_c_, next_b_, next_c_;
  std::int32_t last_low_b_, last_low_c_;
};

/// Sums of as many rays as a vector has lanes, those of them that run along `axis`; 0 for the others.
HWY_ATTR inline Vector march(const JosephGrid& grid, int axis, const float* volume, const float* HWY_RESTRICT fields,
                             std::int64_t field_stride) {
  const Floats floats;
  const auto field = [&](int f) HWY_ATTR { return hn::LoadU(floats, fields + f * field_stride); };
  const auto mine = hn::Eq(field(JosephField::axis), hn::Set(floats, static_cast<float>(axis)));
  if (hn::AllFalse(floats, mine)) return hn::Zero(floats);
  const Vector nowhere = hn::Set(floats, -1e6f);
  const Vector enter = hn::IfThenElse(mine, field(JosephField::enter), nowhere);
  const Vector leave = hn::IfThenElse(mine, field(JosephField::leave), nowhere);
  const Vector at_b = field(JosephField::b), at_c = field(JosephField::c);
  const Vector slope_b = field(JosephField::slope_b), slope_c = field(JosephField::slope_c);
  const int b = axis == 0 ? 1 : 0, c = axis == 2 ? 1 : 2;
  const Vector last_b = hn::Set(floats, static_cast<float>(grid.extent[b] - 1));
  const Vector last_c = hn::Set(floats, static_cast<float>(grid.extent[c] - 1));
  const float middle = 0.5f * static_cast<float>(grid.extent[axis] - 1);
  const SliceReader read(grid, b, c);

  // The first slice of any ray and the last of any.
  const Vector none = hn::Set(floats, 1e9f);
  const auto hits = hn::Gt(leave, nowhere);
  const float earliest = hn::GetLane(hn::MinOfLanes(floats, hn::IfThenElse(hits, enter, none)));
  const float latest = hn::GetLane(hn::MaxOfLanes(floats, leave));
  const auto first = std::max(std::int64_t{0}, static_cast<std::int64_t>(std::ceil(std::min(earliest, 1e9f) - 0.5f)));
  const auto last = std::min(grid.extent[axis] - 1, static_cast<std::int64_t>(std::floor(latest + 0.5f)));
  Vector sum = hn::Zero(floats);
  for (std::int64_t slice = first; slice <= last; ++slice) {
    const auto s = static_cast<float>(slice);
    const Vector from_middle = hn::Set(floats, s - middle);
    const Vector value = read(volume + slice * grid.stride[axis], position_in_slice(at_b, slope_b, from_middle, last_b),
                              position_in_slice(at_c, slope_c, from_middle, last_c));
    sum = hn::MulAdd(share_of_slice(hn::Set(floats, s), enter, leave), value, sum);
  }
  return hn::Mul(sum, field(JosephField::step));
}

HWY_ATTR void march_row(const JosephGrid& grid, const float* volume, const float* HWY_RESTRICT fields,
                        std::int64_t field_stride, std::int64_t columns, float* HWY_RESTRICT out) {
  const Floats floats;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(floats));
  HWY_ALIGN float rest[HWY_MAX_BYTES / sizeof(float)];
  for (std::int64_t column = 0; column < columns; column += lanes) {
    Vector sum = hn::Zero(floats);
    for (int axis = 0; axis < 3; ++axis) sum = hn::Add(sum, march(grid, axis, volume, fields + column, field_stride));
    if (columns - column >= lanes) {
      hn::StoreU(sum, floats, out + column);
    } else {
      hn::Store(sum, floats, rest);
      std::copy_n(rest, columns - column, out + column);
    }
  }
}

/// The rays of one view along one axis, and for as many voxels as a vector has lanes the pixels around each.
struct Bundle {
  const float* fields;  ///< of pixel (0, 0); steps are times the pixels' values
  int axis;
  bool mixed;  ///< the view has rays along other axes, too
  HWY_ALIGN std::int32_t u0[HWY_MAX_BYTES / 4], u1[HWY_MAX_BYTES / 4], v0[HWY_MAX_BYTES / 4], v1[HWY_MAX_BYTES / 4];
};

/// What a bundle adds to the voxel of lane `lane`, in any lane of the sum. Away from the faces of the volume every
/// slice counts whole and no position is held back.
template <bool kInside, bool kMixed>
HWY_ATTR HWY_INLINE Vector gather(const JosephGrid& grid, const Bundle& bundle, std::size_t lane,
                                  const float (&voxel)[3], std::int64_t field_stride, std::int64_t pitch, Vector sum) {
  const Floats floats;
  const int axis = bundle.axis, b = axis == 0 ? 1 : 0, c = axis == 2 ? 1 : 2;
  const Vector slice = hn::Set(floats, voxel[axis]);
  const Vector from_middle = hn::Set(floats, voxel[axis] - 0.5f * static_cast<float>(grid.extent[axis] - 1));
  const Vector voxel_b = hn::Set(floats, voxel[b]), voxel_c = hn::Set(floats, voxel[c]);
  const Vector last_b = hn::Set(floats, static_cast<float>(grid.extent[b] - 1));
  const Vector last_c = hn::Set(floats, static_cast<float>(grid.extent[c] - 1));
  const Vector mine = hn::Set(floats, static_cast<float>(axis));
  const auto lanes = static_cast<std::int32_t>(hn::Lanes(floats));
  for (std::int32_t row = bundle.v0[lane]; row <= bundle.v1[lane]; ++row)
    for (std::int32_t column = bundle.u0[lane]; column <= bundle.u1[lane]; column += lanes) {
      const float* HWY_RESTRICT ray = bundle.fields + row * pitch + column;
      const auto field = [&](int f) HWY_ATTR { return hn::LoadU(floats, ray + f * field_stride); };
      Vector at_b, at_c;
      if constexpr (kInside) {
        at_b = hn::MulAdd(from_middle, field(JosephField::slope_b), field(JosephField::b));
        at_c = hn::MulAdd(from_middle, field(JosephField::slope_c), field(JosephField::c));
      } else {
        at_b = position_in_slice(field(JosephField::b), field(JosephField::slope_b), from_middle, last_b);
        at_c = position_in_slice(field(JosephField::c), field(JosephField::slope_c), from_middle, last_c);
      }
      Vector weight = hn::Mul(hat(hn::Sub(at_b, voxel_b)), hat(hn::Sub(at_c, voxel_c)));
      if constexpr (!kInside)
        weight = hn::Mul(weight, share_of_slice(slice, field(JosephField::enter), field(JosephField::leave)));
      Vector value = field(JosephField::step);
      if constexpr (kMixed) value = hn::IfThenElseZero(hn::Eq(field(JosephField::axis), mine), value);
      sum = hn::MulAdd(weight, value, sum);
    }
  return sum;
}

HWY_ATTR void find_pixels(const JosephView& view, std::int64_t x, std::int64_t y, std::int64_t z, std::int64_t rows,
                          std::int64_t columns, Bundle& bundle) {
  const Floats floats;
  const hn::RebindToSigned<Floats> integers;
  const Vector voxels[3] = {hn::Iota(floats, static_cast<float>(x)), hn::Set(floats, static_cast<float>(y)),
                            hn::Set(floats, static_cast<float>(z))};
  const PixelBox<Vector> box =
      pixels_around(view, voxels, bundle.axis, static_cast<float>(rows), static_cast<float>(columns));
  hn::Store(hn::ConvertTo(integers, box.u0), integers, bundle.u0);
  hn::Store(hn::ConvertTo(integers, box.u1), integers, bundle.u1);
  hn::Store(hn::ConvertTo(integers, box.v0), integers, bundle.v0);
  hn::Store(hn::ConvertTo(integers, box.v1), integers, bundle.v1);
}

/// Adds to one row of voxels along x what the rays of all views of the table bring. `axes[k]`: bit a is set where view
/// k has rays along axis a. `ends_outside`: no ray of these views begins or ends in the volume.
HWY_ATTR void gather_row(const JosephView* views, std::int64_t count, const JosephGrid& grid, const unsigned* axes,
                         bool ends_outside, const float* HWY_RESTRICT rays, std::int64_t rows, std::int64_t pitch,
                         std::int64_t y, std::int64_t z, float* HWY_RESTRICT out) {
  const Floats floats;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(floats));
  const std::int64_t field_stride = rows * pitch, columns = pitch - kJosephRowPadding;
  Bundle bundles[3 * kJosephViews];
  int bundle_count = 0;
  const JosephView* view_of[3 * kJosephViews];
  for (std::int64_t k = 0; k < count; ++k)
    for (int axis = 0; axis < 3; ++axis) {
      if (!(axes[k] >> axis & 1)) continue;
      view_of[bundle_count] = views + k;
      bundles[bundle_count].fields = rays + k * JosephField::count * field_stride;
      bundles[bundle_count].axis = axis;
      bundles[bundle_count++].mixed = (axes[k] & ~(1u << axis)) != 0;
    }
  const auto deep = [](std::int64_t i, std::int64_t extent) { return i >= 2 && i + 2 < extent; };
  const bool row_inside = ends_outside && deep(y, grid.extent[1]) && deep(z, grid.extent[2]);
  for (std::int64_t start = 0; start < grid.extent[0]; start += lanes) {
    for (int i = 0; i < bundle_count; ++i) find_pixels(*view_of[i], start, y, z, rows, columns, bundles[i]);
    for (std::int64_t x = start; x < std::min(start + lanes, grid.extent[0]); ++x) {
      const float voxel[3] = {static_cast<float>(x), static_cast<float>(y), static_cast<float>(z)};
      const bool inside = row_inside && deep(x, grid.extent[0]);
      const auto lane = static_cast<std::size_t>(x - start);
      Vector sum = hn::Zero(floats);
      for (int i = 0; i < bundle_count; ++i) {
        const Bundle& bundle = bundles[i];
        if (!inside)
          sum = gather<false, true>(grid, bundle, lane, voxel, field_stride, pitch, sum);
        else if (bundle.mixed)
          sum = gather<true, true>(grid, bundle, lane, voxel, field_stride, pitch, sum);
        else
          sum = gather<true, false>(grid, bundle, lane, voxel, field_stride, pitch, sum);
      }
      out[x] += hn::GetLane(hn::SumOfLanes(floats, sum));
    }
  }
}

#undef KIBAN_HD
}  // namespace
}  // namespace kiban::ct::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kiban::ct::cpu {
namespace {

HWY_EXPORT(trace_row);
HWY_EXPORT(march_row);
HWY_EXPORT(gather_row);

/// Bit a for each axis a along which some ray of view k runs; multiplies steps by the pixels' values on the way.
unsigned charge_rays(const ArrayView<float, 4>& rays, std::int64_t k, const float* values, std::int64_t columns) {
  unsigned axes = 0;
  for (std::int64_t row = 0; row < rays.shape[2]; ++row) {
    float* step = &rays(k, JosephField::step, row, 0);
    const float* axis = &rays(k, JosephField::axis, row, 0);
    for (std::int64_t column = 0; column < columns; ++column) {
      axes |= 1u << static_cast<int>(axis[column]);
      step[column] *= values[row * columns + column];
    }
  }
  return axes;
}

/// Whether every ray of view k crosses the whole box: its source and its pixels lie outside. Pixels between the panel's
/// corners lie between them, so the corners on one side of the box will do.
bool ends_outside(const JosephView& view, const JosephGrid& grid, std::int64_t rows, std::int64_t columns) {
  const auto beyond_one_face = [&](bool at_pixel) {
    for (int a = 0; a < 3; ++a)
      for (const double face : {grid.low[a], grid.high[a]}) {
        const double outwards = face == grid.low[a] ? -1 : 1;
        bool all = true;
        for (const std::int64_t u : {std::int64_t{0}, columns - 1})
          for (const std::int64_t v : {std::int64_t{0}, rows - 1}) {
            const auto at = [&](const double(&c)[3]) {
              return c[0] + static_cast<double>(u) * c[1] + static_cast<double>(v) * c[2];
            };
            const double position = at(view.point[a]) + (at_pixel ? at(view.direction[a]) : 0);
            all = all && outwards * (position - face) > 0;
          }
        if (all) return true;
      }
    return false;
  };
  return view.low < 0 || (beyond_one_face(false) && beyond_one_face(true));
}

}  // namespace

void joseph_trace(Stream& stream, std::span<const JosephView> views, const JosephGrid& grid, std::int64_t columns,
                  Span<float, 4> rays) {
  const auto trace = HWY_DYNAMIC_DISPATCH(trace_row);
  const auto table = rays.host();
  const std::int64_t rows = table.shape[2], field_stride = rows * table.shape[3];
  parallel_for(stream, table.shape[0] * rows, 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t line = begin; line < end; ++line) {
      const std::int64_t k = line / rows, row = line % rows;
      trace(views[static_cast<std::size_t>(k)], grid, row, columns, &table(k, 0, row, 0), field_stride);
    }
  });
}

void joseph_march(Stream& stream, const JosephGrid& grid, Span<const float, 4> rays, Span<const float, 3> volume,
                  Span<float, 3> projections) {
  const auto march = HWY_DYNAMIC_DISPATCH(march_row);
  const auto table = rays.host();
  const auto out = projections.host();
  const float* voxels = volume.host().data;
  const std::int64_t rows = out.shape[1], columns = out.shape[2], field_stride = rows * table.shape[3];
  parallel_for(stream, out.shape[0] * rows, 2, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t line = begin; line < end; ++line)
      march(grid, voxels, &table(line / rows, 0, line % rows, 0), field_stride, columns, out.data + line * columns);
  });
}

void joseph_gather(Stream& stream, std::span<const JosephView> views, const JosephGrid& grid, Span<float, 4> rays,
                   Span<const float, 3> projections, Span<float, 3> volume) {
  const auto gather = HWY_DYNAMIC_DISPATCH(gather_row);
  const auto table = rays.host();
  const auto values = projections.host();
  const auto out = volume.host();
  const std::int64_t rows = values.shape[1], columns = values.shape[2];
  unsigned axes[kJosephViews] = {};
  parallel_for(stream, values.shape[0], 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t k = begin; k < end; ++k) axes[k] = charge_rays(table, k, &values(k, 0, 0), columns);
  });
  bool outside = true;
  for (const JosephView& view : views) outside = outside && ends_outside(view, grid, rows, columns);
  parallel_for(stream, out.shape[0] * out.shape[1], 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t line = begin; line < end; ++line)
      gather(views.data(), values.shape[0], grid, axes, outside, table.data, rows, table.shape[3], line % out.shape[1],
             line / out.shape[1], out.data + line * out.shape[2]);
  });
}

}  // namespace kiban::ct::cpu
#endif
