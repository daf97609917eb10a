#include "kernels/image/surface.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "kernels/image/distance.hpp"

namespace kiban::image {
namespace {

void require_pair(const Stream& stream, const ConstVoxelSpan& labels, const ConstVoxelSpan& reference) {
  if (labels.shape() != reference.shape()) throw Error(ErrorCode::internal, "two label maps of different shapes");
  for (const ConstVoxelSpan& map : {labels, reference}) {
    with_label_type(map.type(), []<class T>() {});
    if (map.device() != stream.device())
      throw Error(ErrorCode::device,
                  "memory of " + name(map.device()) + " was handed to work on " + name(stream.device()));
  }
}

SurfaceDistances sorted(const Surfels& surfels, const std::array<double, 256>& areas) {
  std::vector<std::pair<float, double>> all;
  for (std::size_t i = 0; i < surfels.mm.size(); ++i) all.emplace_back(surfels.mm[i], areas[surfels.codes[i]]);
  std::ranges::sort(all);
  SurfaceDistances made;
  for (const auto& [mm, area] : all) {
    made.mm.push_back(mm);
    made.area_mm2.push_back(area);
  }
  return made;
}

/// One way of cutting a cube, and its triangles: how many eighths of (1, 1, 1) their areas are worth together as
/// vectors, and for each axis how many are (1/4, 1/4, 0) and (1/2, 0, 0) with that axis apart.
struct Cut {
  std::uint8_t code;
  int eighths;
  std::array<int, 3> slanted, straight;
};
// By dz, dy, dx; every other code is one of these turned, mirrored or inside out.
constexpr Cut kCuts[] = {
    {1, 1, {}, {}},         {3, 0, {0, 0, 2}, {}},  {6, 2, {}, {}},   {7, 3, {}, {1, 0, 0}},  {15, 0, {}, {2, 0, 0}},
    {22, 3, {}, {}},        {23, 6, {}, {}},        {24, 2, {}, {}},  {25, 1, {2, 0, 0}, {}}, {27, 4, {1, 1, 0}, {}},
    {30, 4, {}, {1, 0, 0}}, {60, 0, {0, 0, 4}, {}}, {105, 4, {}, {}},
};
/// Three voxels about a corner and one across have two ways to be cut, the four's and that of the other four. These
/// take the four's.
constexpr std::uint8_t kAsTheyAre[] = {30, 54, 57, 86, 89, 120, 147, 149, 154, 156, 180, 210};

/// The code of a cube whose axis a is this one's axis[a], mirrored where `flipped` has its bit.
std::uint8_t turned(std::uint8_t code, const std::array<std::size_t, 3>& axis, unsigned flipped) {
  unsigned made = 0;
  for (unsigned corner = 0; corner < 8; ++corner) {
    if ((code >> (7 - corner) & 1) == 0) continue;
    unsigned moved = 0;
    for (std::size_t a = 0; a < 3; ++a) {
      const unsigned bit = (corner >> (2 - axis[a]) & 1) ^ (flipped >> a & 1);
      moved |= bit << (2 - a);
    }
    made |= 1U << (7 - moved);
  }
  return static_cast<std::uint8_t>(made);
}

}  // namespace

std::array<double, 256> surfel_areas(const Vec3& spacing_mm) {
  // Faces across z, y, x.
  const Vec3 face{spacing_mm[1] * spacing_mm[0], spacing_mm[2] * spacing_mm[0], spacing_mm[2] * spacing_mm[1]};
  std::array<double, 256> areas{};
  for (const Cut& cut : kCuts) {
    std::array<std::size_t, 3> axis{0, 1, 2};
    do {
      double area = cut.eighths * norm(face) / 8;
      for (std::size_t a = 0; a < 3; ++a) {
        area += cut.straight[axis[a]] * face[a] / 2;
        area += cut.slanted[axis[a]] * std::hypot(face[(a + 1) % 3], face[(a + 2) % 3]) / 4;
      }
      for (unsigned flipped = 0; flipped < 8; ++flipped) {
        const std::uint8_t code = turned(cut.code, axis, flipped), inverse = static_cast<std::uint8_t>(~code);
        const bool two_ways = cut.code == 30;
        if (!two_ways || std::ranges::count(kAsTheyAre, code) != 0) areas[code] = area;
        if (!two_ways || std::ranges::count(kAsTheyAre, inverse) == 0) areas[inverse] = area;
      }
    } while (std::ranges::next_permutation(axis).found);
  }
  return areas;
}

double SurfaceDistances::total_area() const { return std::accumulate(area_mm2.begin(), area_mm2.end(), 0.0); }

double SurfaceDistances::mean() const {
  double sum = 0;
  for (std::size_t i = 0; i < mm.size(); ++i) sum += static_cast<double>(mm[i]) * area_mm2[i];
  return mm.empty() ? std::numeric_limits<double>::quiet_NaN() : sum / total_area();
}

double SurfaceDistances::percentile(double percent) const {
  if (mm.empty()) return std::numeric_limits<double>::quiet_NaN();
  const double wanted = percent / 100, total = total_area();
  double sum = 0;
  for (std::size_t i = 0; i + 1 < mm.size(); ++i) {
    sum += area_mm2[i];
    if (sum / total >= wanted && percent < 100) return static_cast<double>(mm[i]);
  }
  return static_cast<double>(mm.back());
}

double SurfaceDistances::area_within(double tolerance_mm) const {
  double sum = 0;
  for (std::size_t i = 0; i < mm.size() && static_cast<double>(mm[i]) <= tolerance_mm * (1 + 1e-6); ++i)
    sum += area_mm2[i];
  return sum;
}

SurfacePair surface_distances(Stream& stream, const ConstVoxelSpan& labels, const ConstVoxelSpan& reference,
                              std::uint32_t label, const VoxelBox& box, const Vec3& spacing_mm) {
  require_pair(stream, labels, reference);
  Shape<3> shape;
  for (std::size_t a = 0; a < 3; ++a) {
    if (box.first[a] < 0 || box.last[a] < box.first[a] || box.last[a] >= labels.extent(2 - static_cast<int>(a)))
      throw Error(ErrorCode::internal, "a box that is not in the volume");
    shape[2 - a] = box.last[a] - box.first[a] + 2;
  }
  const std::array<double, 256> areas = surfel_areas(spacing_mm);
  Array<std::uint8_t, 3> codes[2], inner(shape, stream.device());
  Array<float, 3> distances(shape, stream.device());
  for (std::size_t map = 0; map < 2; ++map) {
    codes[map] = Array<std::uint8_t, 3>(shape, stream.device());
    KIBAN_BACKEND_FOR(stream, find_codes)(stream, map == 0 ? labels : reference, label, box, codes[map].span());
  }
  SurfacePair pair;
  for (std::size_t map = 0; map < 2; ++map) {
    KIBAN_BACKEND_FOR(stream, mark_inner)(stream, std::as_const(codes[1 - map]).span(), inner.span());
    distance(stream, std::as_const(inner).span(), spacing_mm, {}, distances.span());
    Surfels surfels;
    KIBAN_BACKEND_FOR(stream, collect_surfels)
    (stream, std::as_const(codes[map]).span(), std::as_const(distances).span(), surfels);
    (map == 0 ? pair.of_labels : pair.of_reference) = sorted(surfels, areas);
  }
  return pair;
}

void keep_equal(Stream& stream, const ConstVoxelSpan& labels, const ConstVoxelSpan& reference, const VoxelSpan& equal) {
  require_pair(stream, labels, reference);
  if (equal.type() != labels.type() || equal.shape() != labels.shape() || equal.device() != stream.device())
    throw Error(ErrorCode::internal, "a result of another shape or type than the labels");
  if (labels.size() != 0) KIBAN_BACKEND_FOR(stream, write_equal)(stream, labels, reference, equal);
}

}  // namespace kiban::image
