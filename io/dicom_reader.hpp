#pragma once
#include <compare>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/core/volume.hpp"
#include "kernels/core/voxels.hpp"

namespace kiban::io {

/// The number of an attribute: (0008,0060) is Modality.
struct DicomTag {
  std::uint16_t group = 0, element = 0;
  auto operator<=>(const DicomTag&) const = default;
};

using DicomValues = std::map<DicomTag, std::string>;

/// One slice of a series: its file, and value = slope * stored + intercept.
struct DicomSlice {
  std::filesystem::path file;
  double slope = 1, intercept = 0;
};

/// A volume that a folder of DICOM images makes: slices in the order of their positions.
struct DicomSeries {
  Grid grid;                          ///< LPS, mm
  VoxelType type = VoxelType::int16;  ///< the narrowest integers that hold every value, or float32
  std::vector<DicomSlice> slices;
};

/// What libkiban_dicom does, which is opened when it is first asked for: docs/decisions/0009 says why.
struct DicomReader {
  /// The attribute of a keyword, "Modality", or of a number, "0008,0060".
  /// Errors: usage (no such keyword; a sequence or pixel data, which are no texts; no dictionary is installed).
  DicomTag (*tag)(std::string_view name) = nullptr;

  /// Attributes of a Part 10 file as texts: UTF-8, without padding, several values joined by "\"; those that are
  /// absent, empty or longer than 1 KiB are left out. The file is read up to the last of them, and at most 1 MiB in
  /// front of it, values that nobody asked for not counted. Nothing where the file does not begin as a Part 10 file
  /// does. Errors: input (broken, deflated, nested too deeply, cannot be read).
  std::optional<DicomValues> (*values)(const std::filesystem::path& file, const std::vector<DicomTag>& tags) = nullptr;

  /// The series of the images among `files`, which must be one. What is not DICOM, or without pixels, is passed over.
  ///   path   as errors name the whole
  /// Errors: input (no image; several series; slices that are missing, twice there, of other sizes, or sheared by the
  /// gantry's tilt; no place in the patient; colours; several frames in a file; broken files). Cost: headers are read.
  DicomSeries (*series)(const std::filesystem::path& path, const std::vector<std::filesystem::path>& files) = nullptr;

  /// Slices from `begin` on, of the series' type.
  /// Errors: input (truncated; not what the header said; a transfer syntax that is not decoded: names it).
  void (*read)(const DicomSeries& series, std::int64_t begin, const VoxelSpan& slices) = nullptr;
};

/// Whether a file begins as DICOM's Part 10 says. False where it cannot be read.
bool begins_as_dicom(const std::filesystem::path& file);

/// The files of a folder that begin as DICOM does, in the order of names; of a file that does, that file. Nothing where
/// there are none.
std::vector<std::filesystem::path> dicom_files(const std::filesystem::path& path);

/// Errors: usage (this installation has no libkiban_dicom, or not what it needs; says what to install).
const DicomReader& dicom_reader();

}  // namespace kiban::io
