#pragma once
// What the files of libkiban_dicom have of each other. The contracts are io/dicom_reader.hpp's.
#include <filesystem>
#include <optional>
#include <vector>

#include "io/dicom_reader.hpp"

namespace kiban::io {

/// DCMTK writes warnings about a file, with its values, to standard error: no longer.
void silence();

std::optional<DicomValues> dicom_values(const std::filesystem::path& path, const std::vector<DicomTag>& tags);
DicomSeries dicom_series(const std::filesystem::path& path, const std::vector<std::filesystem::path>& files);
void read_dicom_slices(const DicomSeries& series, std::int64_t begin, const VoxelSpan& slices);

/// How the pixels of an image are stored.
struct PixelFormat {
  std::int64_t rows = 0, columns = 0;
  int bits_allocated = 16, bits_stored = 16, high_bit = 15;
  bool is_signed = false;

  double least() const { return is_signed ? -static_cast<double>(std::int64_t{1} << (bits_stored - 1)) : 0; }
  double largest() const {
    return static_cast<double>((std::int64_t{1} << (is_signed ? bits_stored - 1 : bits_stored)) - 1);
  }
};
/// The tags that say so, and what they say. Errors: input (one is missing or impossible; colours; several frames).
std::vector<DicomTag> pixel_tags();
PixelFormat pixel_format(const std::filesystem::path& file, const DicomValues& values);

/// The one frame of a JPEG 2000 stream, as the numbers it holds.
/// Errors: input (broken; another size than the header's; colours).
std::vector<std::int32_t> decode_jpeg_2000(const std::filesystem::path& file, std::vector<std::uint8_t>& stream,
                                           const PixelFormat& format);

}  // namespace kiban::io
