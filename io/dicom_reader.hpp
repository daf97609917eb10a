#pragma once
#include <compare>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kiban::io {

/// The number of an attribute: (0008,0060) is Modality.
struct DicomTag {
  std::uint16_t group = 0, element = 0;
  auto operator<=>(const DicomTag&) const = default;
};

using DicomValues = std::map<DicomTag, std::string>;

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
};

/// Errors: usage (this installation has no libkiban_dicom, or not what it needs; says what to install).
const DicomReader& dicom_reader();

}  // namespace kiban::io
