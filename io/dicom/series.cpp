#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>

#include "io/dicom/parts.hpp"
#include "io/input_file.hpp"

namespace kiban::io {
namespace {

namespace fs = std::filesystem;

constexpr DicomTag thickness{0x0018, 0x0050}, between_slices{0x0018, 0x0088}, series_uid{0x0020, 0x000e},
    position{0x0020, 0x0032}, orientation{0x0020, 0x0037}, pixel_spacing{0x0028, 0x0030}, intercept{0x0028, 0x1052},
    slope{0x0028, 0x1053}, tilt{0x0018, 0x1120}, rows{0x0028, 0x0010};

/// Positions that differ by less are one; steps may differ by so much of the usual one, and by the rounding of
/// positions that scanners write; lines may be so far from right angles.
constexpr double same_mm = 1e-3, step_tolerance = 0.02, rounding_mm = 0.02, angle_tolerance = 1e-3;

struct Slice {
  fs::path file;
  DicomValues values;
  PixelFormat format;
  Vec3 at{}, across{}, down{};                 ///< position; unit vectors along a row, and along a column
  std::array<double, 2> spacing{};             ///< mm between rows, and between columns
  double slope = 1, intercept = 0, place = 0;  ///< place: along the normal
};

std::string text_of(const Slice& slice, DicomTag tag) {
  const auto found = slice.values.find(tag);
  return found == slice.values.end() ? "" : found->second;
}

/// Numbers of a value, "1\2\3". Errors: input (not so many finite numbers).
std::vector<double> numbers_of(const Slice& slice, DicomTag tag, std::size_t count, const char* what) {
  const std::string text = text_of(slice, tag);
  std::vector<double> numbers;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\\'), rest.size());
    std::string_view one = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    while (!one.empty() && (one.front() == ' ' || one.front() == '+')) one.remove_prefix(1);
    while (!one.empty() && one.back() == ' ') one.remove_suffix(1);
    double number = 0;
    const auto [stop, failure] = std::from_chars(one.data(), one.data() + one.size(), number);
    if (failure != std::errc() || stop != one.data() + one.size() || !std::isfinite(number)) break;
    numbers.push_back(number);
  }
  if (numbers.size() != count)
    throw input_error(slice.file,
                      text.empty()
                          ? fmt::format("has no {}, so that its place is unknown; send images that have it", what)
                          : fmt::format("its {} is {}, and {} numbers are wanted", what, text, count));
  return numbers;
}

void place(Slice& slice) {
  const std::vector<double> at = numbers_of(slice, position, 3, "ImagePositionPatient");
  const std::vector<double> axes = numbers_of(slice, orientation, 6, "ImageOrientationPatient");
  const std::vector<double> mm = numbers_of(slice, pixel_spacing, 2, "PixelSpacing");
  slice.at = {at[0], at[1], at[2]};
  slice.across = {axes[0], axes[1], axes[2]};
  slice.down = {axes[3], axes[4], axes[5]};
  slice.spacing = {mm[0], mm[1]};
  if (!(std::abs(norm(slice.across) - 1) <= angle_tolerance && std::abs(norm(slice.down) - 1) <= angle_tolerance &&
        std::abs(dot(slice.across, slice.down)) <= angle_tolerance))
    throw input_error(slice.file, "its ImageOrientationPatient is not two unit vectors at right angles; correct it");
  slice.across = (1 / norm(slice.across)) * slice.across;
  slice.down = slice.down - dot(slice.across, slice.down) * slice.across;
  slice.down = (1 / norm(slice.down)) * slice.down;
  if (!(mm[0] > 0 && mm[1] > 0)) throw input_error(slice.file, "its PixelSpacing is not above 0; correct it");
  if (slice.values.contains(slope)) slice.slope = numbers_of(slice, slope, 1, "RescaleSlope").front();
  if (slice.values.contains(intercept)) slice.intercept = numbers_of(slice, intercept, 1, "RescaleIntercept").front();
}

std::vector<Slice> images_of(const std::vector<fs::path>& files) {
  std::vector<DicomTag> tags = pixel_tags();
  tags.insert(tags.end(),
              {thickness, between_slices, series_uid, position, orientation, pixel_spacing, intercept, slope, tilt});
  std::vector<Slice> images;
  for (const fs::path& file : files) {
    std::optional<DicomValues> values = dicom_values(file, tags);
    if (!values || !values->contains(rows)) continue;  // a DICOMDIR, a report
    Slice slice;
    slice.file = file;
    slice.values = std::move(*values);
    slice.format = pixel_format(file, slice.values);
    place(slice);
    images.push_back(std::move(slice));
  }
  return images;
}

/// Whether two images may be of one volume.
bool are_alike(const Slice& one, const Slice& other) {
  if (text_of(one, series_uid) != text_of(other, series_uid) || one.format.rows != other.format.rows ||
      one.format.columns != other.format.columns)
    return false;
  for (std::size_t k = 0; k < 2; ++k)
    if (std::abs(one.spacing[k] - other.spacing[k]) > angle_tolerance * one.spacing[k]) return false;
  return norm(one.across - other.across) <= angle_tolerance && norm(one.down - other.down) <= angle_tolerance;
}

void require_one_series(const fs::path& path, const std::vector<Slice>& slices) {
  std::vector<std::vector<const Slice*>> kinds;
  for (const Slice& slice : slices) {
    const auto found =
        std::ranges::find_if(kinds, [&](const auto& members) { return are_alike(*members.front(), slice); });
    if (found == kinds.end())
      kinds.push_back({&slice});
    else
      found->push_back(&slice);
  }
  if (kinds.size() == 1) return;
  std::string told;
  for (std::size_t k = 0; k < std::min<std::size_t>(kinds.size(), 4); ++k)
    told += fmt::format("{}{} images like {}", told.empty() ? "" : ", ", kinds[k].size(),
                        kinds[k].front()->file.filename().string());
  throw input_error(path, fmt::format("holds {} series, by SeriesInstanceUID, orientation, size and spacing: {}{}; put "
                                      "the images of one into a folder of its own",
                                      kinds.size(), told, kinds.size() > 4 ? ", ..." : ""));
}

/// mm between slices, which lie in order. Errors: input (twice the same place, a gap, a tilted gantry).
double step_between(const fs::path& path, const std::vector<Slice>& slices, const Vec3& normal) {
  if (slices.size() == 1) {
    for (const DicomTag tag : {between_slices, thickness})
      if (const std::string text = text_of(slices.front(), tag); !text.empty()) {
        const double mm = std::abs(numbers_of(slices.front(), tag, 1, "thickness of a slice").front());
        if (mm > 0) return mm;
      }
    return 1;
  }
  std::vector<double> steps;
  for (std::size_t k = 1; k < slices.size(); ++k) {
    steps.push_back(slices[k].place - slices[k - 1].place);
    if (steps.back() < same_mm)
      throw input_error(path, fmt::format("{} and {} lie at the same place; remove one of them",
                                          slices[k - 1].file.filename().string(), slices[k].file.filename().string()));
  }
  std::vector<double> sorted = steps;
  std::ranges::sort(sorted);
  const double usual = sorted[sorted.size() / 2];
  for (std::size_t k = 1; k < slices.size(); ++k) {
    const Vec3 aside = slices[k].at - slices[0].at - (slices[k].place - slices[0].place) * normal;
    if (norm(aside) > std::max(0.1, step_tolerance * (slices[k].place - slices[0].place))) {
      const double degrees = std::atan2(norm(aside), slices[k].place - slices[0].place) * 180 / M_PI;
      const std::string declared = text_of(slices[k], tilt);
      throw input_error(path,
                        fmt::format("its slices are sheared by {:.1f} degrees, as with a tilted gantry{}; resample "
                                    "them to a grid at right angles",
                                    degrees, declared.empty() ? "" : " (GantryDetectorTilt " + declared + ")"));
    }
  }
  for (std::size_t k = 1; k < slices.size(); ++k)
    if (std::abs(steps[k - 1] - usual) > step_tolerance * usual + rounding_mm)
      throw input_error(path, fmt::format("slices lie {:.6g} mm apart, but {} and {} lie {:.6g} mm; slices are missing "
                                          "there or of another series",
                                          usual, slices[k - 1].file.filename().string(),
                                          slices[k].file.filename().string(), steps[k - 1]));
  return (slices.back().place - slices.front().place) / static_cast<double>(slices.size() - 1);
}

VoxelType type_of(const std::vector<Slice>& slices) {
  double least = std::numeric_limits<double>::infinity(), largest = -least;
  for (const Slice& slice : slices) {
    if (slice.slope != std::round(slice.slope) || slice.intercept != std::round(slice.intercept))
      return VoxelType::float32;
    for (const double stored : {slice.format.least(), slice.format.largest()}) {
      least = std::min(least, slice.slope * stored + slice.intercept);
      largest = std::max(largest, slice.slope * stored + slice.intercept);
    }
  }
  for (const VoxelType type :
       {VoxelType::uint8, VoxelType::int8, VoxelType::uint16, VoxelType::int16, VoxelType::int32})
    if (with_voxel_type(type, [&]<class T>() {
          return least >= static_cast<double>(std::numeric_limits<T>::lowest()) &&
                 largest <= static_cast<double>(std::numeric_limits<T>::max());
        }))
      return type;
  return VoxelType::float32;
}

}  // namespace

DicomSeries dicom_series(const fs::path& path, const std::vector<fs::path>& files) {
  std::vector<Slice> slices = images_of(files);
  if (slices.empty()) throw input_error(path, "holds DICOM without an image; name a folder of slices");
  require_one_series(path, slices);
  const Slice& first = slices.front();
  const Vec3 normal = cross(first.across, first.down);
  for (Slice& slice : slices) slice.place = dot(slice.at, normal);
  std::ranges::stable_sort(slices, {}, &Slice::place);
  DicomSeries series;
  series.grid.shape = {static_cast<std::int64_t>(slices.size()), first.format.rows, first.format.columns};
  series.grid.spacing = {first.spacing[1], first.spacing[0], step_between(path, slices, normal)};
  series.grid.origin = slices.front().at;
  for (std::size_t row = 0; row < 3; ++row)
    series.grid.direction[row] = {slices.front().across[row], slices.front().down[row], normal[row]};
  series.type = type_of(slices);
  for (const Slice& slice : slices) series.slices.push_back({slice.file, slice.slope, slice.intercept});
  return series;
}

}  // namespace kiban::io
